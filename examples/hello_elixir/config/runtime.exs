import Config

# Evaluated when the machine boots: GREETING comes from `unibeam image --env` or `unibeam run --env`.
config :hello_elixir, greeting: System.get_env("GREETING", "Grüße aus unibeam ⚡")
