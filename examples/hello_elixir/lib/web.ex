defmodule HelloElixir.Web do
  @moduledoc "A web server of one page on `:gen_tcp`; `/stop` ends the machine with status 0."
  use Task, restart: :permanent

  def start_link(options) do
    {:ok, socket} =
      :gen_tcp.listen(options[:port], [:binary, packet: :http_bin, active: false, reuseaddr: true])

    Task.start_link(__MODULE__, :accept, [socket, options[:greeting]])
  end

  @doc false
  def accept(socket, greeting) do
    {:ok, client} = :gen_tcp.accept(socket)
    {:ok, _pid} = Task.start(fn -> serve(client, greeting) end)
    accept(socket, greeting)
  end

  defp serve(client, greeting) do
    with {:ok, {:http_request, _method, {:abs_path, path}, _version}} <- :gen_tcp.recv(client, 0) do
      :gen_tcp.send(client, answer(path, greeting))
      :gen_tcp.close(client)
      if path == "/stop", do: System.stop(0)
    end
  end

  defp answer("/", greeting) do
    versions = "Elixir #{System.version()}, OTP #{System.otp_release()}"
    response("200 OK", "#{greeting}\n#{versions}, visit #{HelloElixir.Visits.next()}\n")
  end

  defp answer("/stop", _greeting), do: response("200 OK", "stopping\n")
  defp answer(_path, _greeting), do: response("404 Not Found", "not found\n")

  defp response(status, body) do
    """
    HTTP/1.1 #{status}\r
    content-type: text/plain; charset=utf-8\r
    content-length: #{byte_size(body)}\r
    connection: close\r
    \r
    #{body}\
    """
  end
end
