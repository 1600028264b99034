"""Every card of the plugin keeps the laws that anybody's must keep; at an oblong size too."""

from genzoo.testing import laws

test_laws = laws("genzoo-dcgan")
test_laws_of_an_oblong_size = laws("genzoo-dcgan", "dcgan", image_shape=(3, 24, 40))
