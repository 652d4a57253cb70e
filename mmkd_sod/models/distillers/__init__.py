"""Distillers: what is read from student and teacher, and which losses compare it."""
