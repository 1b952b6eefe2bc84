defmodule HelloElixir.MixProject do
  use Mix.Project

  def project do
    [
      app: :hello_elixir,
      version: "1.0.0",
      elixir: "~> 1.14",
      start_permanent: Mix.env() == :prod,
      deps: [],
      releases: [hello_elixir: [include_executables_for: [:unix]]]
    ]
  end

  def application do
    [mod: {HelloElixir.Application, []}, extra_applications: [:logger]]
  end
end
