import Config

# Kernel is running when this is evaluated: it takes effect because the system starts again.
config :kernel, net_ticktime: String.to_integer(System.get_env("TICKTIME", "77"))
