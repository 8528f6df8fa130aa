"""The live path at any size of the catalogue, and the floor that it is compared with."""
