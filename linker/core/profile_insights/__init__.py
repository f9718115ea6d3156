"""What a linked row shows of its profile: columns, measures, and the system view that lists them."""
