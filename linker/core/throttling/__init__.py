"""How fast to write: the pace, the width, what service protection allows, and what an answer of Dataverse means."""
