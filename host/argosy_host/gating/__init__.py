"""The parts of the gate: binding a call, having it judged, asking a person, carrying it out."""
