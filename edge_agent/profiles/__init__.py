"""Device knowledge as data: one TOML file per device family, checked when it is loaded."""
