%% Exercises the crypto NIF (a shared object over libcrypto), prints one line for each check and
%% stops the virtual machine: status 0 if all hold, 1 otherwise.
-module(crypto_check).
-behaviour(application).

-export([start/2, stop/1]).

start(_Type, _Args) ->
    {ok, spawn_link(fun run/0)}.

stop(_State) ->
    ok.

run() ->
    Failed = [Name || {Name, Check} <- checks(), not report(Name, Check)],
    io:format("crypto: ~ts~n", [element(3, hd(crypto:info_lib()))]),
    init:stop(length(Failed)),
    receive after infinity -> ok end.

report(Name, Check) ->
    Verdict = try Check() catch Class:Reason -> {Class, Reason} end,
    io:format("crypto: ~ts ~tp~n", [Name, Verdict]),
    Verdict =:= true.

checks() ->
    [{"sha256", fun sha256/0},
     {"strong_rand_bytes", fun random/0},
     {"aes_256_gcm", fun aes_gcm/0},
     {"ecdh_x25519", fun ecdh/0},
     {"ecdsa_secp256r1", fun ecdsa/0},
     {"rsa_sign", fun rsa/0}].

%% FIPS 180-2, appendix B.1: the message "abc".
sha256() ->
    Digest = binary:decode_hex(<<"BA7816BF8F01CFEA414140DE5DAE2223"
                                 "B00361A396177A9CB410FF61F20015AD">>),
    crypto:hash(sha256, "abc") =:= Digest.

random() ->
    A = crypto:strong_rand_bytes(32),
    B = crypto:strong_rand_bytes(32),
    byte_size(A) =:= 32 andalso A =/= B.

aes_gcm() ->
    Key = crypto:strong_rand_bytes(32),
    Iv = crypto:strong_rand_bytes(12),
    {Text, Tag} = crypto:crypto_one_time_aead(aes_256_gcm, Key, Iv, <<"secret">>, <<"aad">>, true),
    crypto:crypto_one_time_aead(aes_256_gcm, Key, Iv, Text, <<"aad">>, Tag, false) =:= <<"secret">>.

ecdh() ->
    {PublicA, PrivateA} = crypto:generate_key(ecdh, x25519),
    {PublicB, PrivateB} = crypto:generate_key(ecdh, x25519),
    crypto:compute_key(ecdh, PublicB, PrivateA, x25519)
        =:= crypto:compute_key(ecdh, PublicA, PrivateB, x25519).

ecdsa() ->
    {Public, Private} = crypto:generate_key(ecdh, secp256r1),
    Signature = crypto:sign(ecdsa, sha256, <<"message">>, [Private, secp256r1]),
    crypto:verify(ecdsa, sha256, <<"message">>, Signature, [Public, secp256r1])
        andalso not crypto:verify(ecdsa, sha256, <<"other">>, Signature, [Public, secp256r1]).

%% 1024 bits only keep the example quick on an emulated processor.
rsa() ->
    {Public, Private} = crypto:generate_key(rsa, {1024, 65537}),
    Signature = crypto:sign(rsa, sha256, <<"message">>, Private),
    crypto:verify(rsa, sha256, <<"message">>, Signature, Public).
