"""Every card of the plugin keeps the laws that anybody's must keep; in colours and at an odd size too."""

from genzoo.testing import laws

test_laws = laws("genzoo-gan")
test_laws_of_colours = laws("genzoo-gan", "gan", image_shape=(3, 5, 7))
