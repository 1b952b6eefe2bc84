import Config

config :hello_elixir, port: 4000
