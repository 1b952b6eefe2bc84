defmodule ElixirCheck.MixProject do
  use Mix.Project

  def project do
    [
      app: :elixir_check,
      version: "1.0.0",
      elixir: "~> 1.14",
      start_permanent: Mix.env() == :prod,
      deps: [],
      releases: [
        elixir_check: [
          include_executables_for: [:unix],
          config_providers: [{ElixirCheck.Provider, "from a provider"}],
          reboot_system_after_config: true
        ]
      ]
    ]
  end

  def application do
    [mod: {ElixirCheck, []}, extra_applications: [:logger, :eex]]
  end
end
