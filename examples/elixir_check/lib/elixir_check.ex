defmodule ElixirCheck do
  @moduledoc """
  Elixir's standard library at work: prints one line for each check, and ends the machine with the
  number of those that failed.
  """

  use Application
  require Logger

  @impl true
  def start(_type, _args) do
    Task.start_link(fn ->
      System.stop(run())
      Process.sleep(:infinity)
    end)
  end

  @doc "Runs all checks; the number of failures."
  def run do
    failed = Enum.count(checks(), fn {name, check} -> not passes?(name, check) end)
    IO.puts("elixir: #{failed} failed")
    failed
  end

  defp passes?(name, check) do
    verdict =
      try do
        check.()
      rescue
        error -> error
      catch
        kind, reason -> {kind, reason}
      end

    IO.puts("elixir: #{name} #{if verdict == true, do: "ok", else: inspect(verdict)}")
    verdict == true
  end

  defp checks do
    [
      {"names of files are UTF-8", fn -> :file.native_name_encoding() == :utf8 end},
      {"configuration providers", &configured/0},
      {"files", &files/0},
      {"streams", &streams/0},
      {"Logger", &logger/0},
      {"Task.async", &tasks/0},
      {"Task.Supervisor", &supervised/0},
      {"Agent and GenServer", &servers/0},
      {"Registry", &registry/0},
      {"System.cmd", &commands/0},
      {"System.shell", fn -> System.shell("echo $((6 * 7))") == {"42\n", 0} end},
      {"a command that is not there", &no_command/0},
      {"ports", &ports/0},
      {"Code.eval_string", fn -> Code.eval_string("Enum.sum(1..10)") == {55, []} end},
      {"EEx", fn -> EEx.eval_string("<%= x %>!", x: "hé") == "hé!" end},
      {"Calendar", &calendar/0},
      {"URI, Base, Regex", &texts/0}
    ]
  end

  # Providers wrote a copy of sys.config, and the system started again with it.
  defp configured do
    {:ok, [written]} = :file.consult(System.fetch_env!("RELEASE_SYS_CONFIG") <> ".config")

    :net_kernel.get_net_ticktime() == 77 and
      Application.get_env(:elixir_check, :provided) == "from a provider" and
      written[:elixir_check][:provided] == "from a provider"
  end

  defp files do
    directory = Path.join(System.tmp_dir!(), "elixir_check-é")
    File.mkdir_p!(Path.join(directory, "a/b"))
    file = Path.join(directory, "a/ö.txt")
    File.write!(file, "text\n", [:append])
    File.cp_r!(directory, directory <> "2")
    found = Path.wildcard(directory <> "*/**/*.txt") |> Enum.map(&Path.basename/1)
    %File.Stat{size: size, type: :regular} = File.stat!(file)
    Enum.each([directory, directory <> "2"], &File.rm_rf!/1)
    {found, size, File.exists?(file)} == {["ö.txt", "ö.txt"], 5, false}
  end

  defp streams do
    file = Path.join(System.tmp_dir!(), "elixir_check-lines")
    1..1000 |> Stream.map(&"#{&1}\n") |> Enum.into(File.stream!(file))

    sum =
      File.stream!(file)
      |> Stream.map(&String.trim/1)
      |> Enum.reduce(0, &(String.to_integer(&1) + &2))

    File.rm!(file)
    sum == 500_500
  end

  # What is logged is formatted and comes to the console, or to a handler of our own.
  defp logger do
    parent = self()
    :ok = :logger.add_handler(:here, __MODULE__, %{config: parent})
    Logger.warning("wörds", number: 42)
    :ok = :logger.remove_handler(:here)

    receive do
      {:logged, :warning, text, 42} -> text == "wörds"
    after
      5000 -> :timeout
    end
  end

  @doc "A handler of logger(3)."
  def log(%{level: level, msg: {:string, text}, meta: %{number: number}}, %{config: to}) do
    send(to, {:logged, level, IO.chardata_to_string(text), number})
  end

  def log(_event, _config), do: :ok

  defp tasks do
    answers = 1..50 |> Enum.map(&Task.async(fn -> &1 * &1 end)) |> Task.await_many(30_000)
    late = Task.async(fn -> Process.sleep(:infinity) end)
    squares = Task.async_stream(1..20, &(&1 * &1), max_concurrency: 4, timeout: 30_000)

    {Enum.sum(answers), Task.yield(late, 20), Task.shutdown(late, :brutal_kill),
     Enum.count(squares)} ==
      {42_925, nil, nil, 20}
  end

  defp supervised do
    {:ok, supervisor} = Task.Supervisor.start_link()
    good = Task.Supervisor.async_nolink(supervisor, fn -> :fine end)
    bad = Task.Supervisor.async_nolink(supervisor, fn -> exit(:shutdown) end)
    {Task.await(good), Task.yield(bad, 30_000)} == {:fine, {:exit, :shutdown}}
  end

  defp servers do
    {:ok, agent} = Agent.start_link(fn -> 0 end)

    1..100
    |> Enum.map(fn n -> Task.async(fn -> Agent.update(agent, &(&1 + n)) end) end)
    |> Task.await_many()

    Agent.get(agent, & &1) == 5050
  end

  defp registry do
    {:ok, _} = Registry.start_link(keys: :duplicate, name: ElixirCheck.Registry)
    {:ok, _} = Registry.register(ElixirCheck.Registry, "topic", nil)

    Registry.dispatch(ElixirCheck.Registry, "topic", fn all ->
      for {pid, _} <- all, do: send(pid, :told)
    end)

    receive do
      :told -> true
    after
      5000 -> :timeout
    end
  end

  defp commands do
    cd = System.cmd("sh", ["-c", "pwd; echo $WORD; exit 3"], cd: "/tmp", env: [{"WORD", "wörd"}])
    merged = System.cmd("sh", ["-c", "echo out; echo err >&2"], stderr_to_stdout: true)
    into = System.cmd("cat", ["/proc/sys/kernel/ostype"], into: [])
    {cd, merged, into} == {{"/tmp\nwörd\n", 3}, {"out\nerr\n", 0}, {["Linux\n"], 0}}
  end

  defp no_command do
    try do
      System.cmd("no-such-program", [])
    rescue
      error in ErlangError -> error.original == :enoent
    end
  end

  defp ports do
    port = Port.open({:spawn_executable, System.find_executable("cat")}, [:binary])
    true = Port.command(port, "through a port")

    receive do
      {^port, {:data, text}} -> Port.close(port) and text == "through a port"
    after
      20_000 -> :timeout
    end
  end

  defp calendar do
    now = DateTime.utc_now()
    later = DateTime.add(now, 3600, :second)

    {DateTime.diff(later, now), now.year >= 2024, Date.day_of_week(~D[2024-02-29])} ==
      {3600, true, 4}
  end

  defp texts do
    uri = URI.parse("https://example.com:8443/a?b=c#d")

    {uri.port, Base.url_encode64(<<255, 254>>), Regex.run(~r/(\p{Lu})ber/u, "Über"),
     String.upcase("straße")} ==
      {8443, "__4=", ["Über", "Ü"], "STRASSE"}
  end
end
