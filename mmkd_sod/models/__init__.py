"""Networks, distillers, algorithms and losses; each room is imported when it is asked for."""
