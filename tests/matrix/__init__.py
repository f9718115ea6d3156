"""The main job over every kind of table and every switch of the sandbox, alone and combined."""
