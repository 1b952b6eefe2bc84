{application, net_check,
 [{description, "Uses sockets in every way and ends the machine with the verdict"},
  {vsn, "1.0.0"},
  {modules, [net_check, net_dns, net_stream, net_datagram, net_nif, net_outside]},
  {registered, []},
  {applications, [kernel, stdlib]},
  {mod, {net_check, []}}]}.
