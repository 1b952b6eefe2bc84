defmodule ElixirCheck.Provider do
  @moduledoc "A configuration provider: it runs when the machine starts, after `config/runtime.exs`."
  @behaviour Config.Provider

  @impl true
  def init(text), do: text

  @impl true
  def load(config, text) do
    Config.Reader.merge(config, elixir_check: [provided: text])
  end
end
