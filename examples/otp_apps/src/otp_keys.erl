%% Keys and certificates for one run.
-module(otp_keys).

-export([tls/0, write_host_key/1]).

%% Elliptic curves: keys of RSA take seconds on an emulated processor.
-define(CURVE, {namedCurve, secp256r1}).

%% Options of a TLS server and of a client that trust each other's certificates.
tls() ->
    Key = [{key, ?CURVE}],
    HostName = {'Extension', {2,5,29,17}, false, [{dNSName, "localhost"}]},
    Server = #{root => Key, intermediates => [Key],
               peer => [{extensions, [HostName]} | Key]},
    Client = #{root => Key, intermediates => [Key], peer => Key},
    #{server_config := ServerOptions, client_config := ClientOptions} =
        public_key:pkix_test_data(#{server_chain => Server, client_chain => Client}),
    {ServerOptions, ClientOptions}.

%% A host key for an SSH daemon, in its `system_dir`.
write_host_key(Directory) ->
    Key = public_key:generate_key(?CURVE),
    Entry = public_key:pem_entry_encode('ECPrivateKey', Key),
    File = filename:join(Directory, "ssh_host_ecdsa_key"),
    ok = file:write_file(File, public_key:pem_encode([Entry])),
    file:change_mode(File, 8#600).
