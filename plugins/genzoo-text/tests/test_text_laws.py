"""The card of the plugin obeys the laws that any third-party plugin must obey."""

from genzoo.testing import laws

test_laws = laws("genzoo-text")
test_laws_of_a_concatenating_discriminator = laws("genzoo-text", join="concatenate", image_shape=(3, 12, 8))
