{application, otp_apps,
 [{description, "OTP's applications at work: checks of them, or services for others to check"},
  {vsn, "1.0.0"},
  {modules, [otp_apps_app, otp_check, otp_disk_full, otp_files, otp_heart, otp_keys, otp_network,
             otp_peer, otp_serve, otp_store, otp_tools]},
  {registered, []},
  {applications, [kernel, stdlib, compiler, crypto, asn1, public_key, ssl, ssh, inets, mnesia, sasl,
                  os_mon, runtime_tools, eunit]},
  {mod, {otp_apps_app, []}}]}.
