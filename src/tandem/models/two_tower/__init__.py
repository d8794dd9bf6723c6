"""Two towers: a vector of a user and one of an item, whose product says how well they fit."""
