"""Student, frozen teacher and distiller, put together."""
