"""Every card of the plugin keeps the laws that anybody's must keep."""

from genzoo.testing import laws

test_laws = laws("genzoo-began")
test_laws_of_larger_images = laws("genzoo-began", "began", image_shape=(3, 32, 16))
