"""Networks, distillers, algorithms and losses; the registries import subpackages on first use."""
