"""Single misconfigurations of a healthy sandbox, made over the wire, and what doctor must say."""
