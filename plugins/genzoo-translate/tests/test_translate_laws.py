"""Every card of the plugin obeys the laws that any third-party plugin must obey."""

from genzoo.testing import laws

test_laws_of_pix2pix = laws("genzoo-translate", "pix2pix-facades", patch_layers=1)
test_laws_of_cyclegan = laws("genzoo-translate", "cyclegan-horse2zebra", patch_layers=1, blocks=1)
