"""Everything that only makes a frozen teacher faster; without this folder the package is slower."""
