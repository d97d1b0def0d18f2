"""The composition root: settings → seams → domain → rooms → gateway and worker. The only folder that wires."""
