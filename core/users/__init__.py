"""Users beyond their events: attributes."""
