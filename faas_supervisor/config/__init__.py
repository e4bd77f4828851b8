"""The configuration: `function_config.yaml`, mounted secrets and environment, as one frozen `Function`."""
