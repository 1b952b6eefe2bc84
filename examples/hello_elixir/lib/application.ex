defmodule HelloElixir.Application do
  @moduledoc "A supervision tree: a counter of visits, and a web server that uses it."
  use Application

  @impl true
  def start(_type, _args) do
    port = Application.fetch_env!(:hello_elixir, :port)
    greeting = Application.fetch_env!(:hello_elixir, :greeting)

    children = [
      HelloElixir.Visits,
      {HelloElixir.Web, port: port, greeting: greeting}
    ]

    with {:ok, pid} <- Supervisor.start_link(children, strategy: :one_for_one) do
      IO.puts("#{greeting} (Elixir #{System.version()}, port #{port})")
      {:ok, pid}
    end
  end
end
