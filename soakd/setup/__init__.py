"""TOML -> Config -> Plan, or one ConfigError that names file, key, rule and what it got. Pure."""
