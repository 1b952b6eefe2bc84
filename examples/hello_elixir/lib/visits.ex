defmodule HelloElixir.Visits do
  @moduledoc "Counts visits."
  use Agent

  def start_link(_options), do: Agent.start_link(fn -> 0 end, name: __MODULE__)

  @doc "The number of this visit, from 1."
  def next, do: Agent.get_and_update(__MODULE__, &{&1 + 1, &1 + 1})
end
