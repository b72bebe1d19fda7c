# An edge that is a Varnish, for the tests. The words between at signs are filled in when it is started.
#
# What is kept, and for how long, follows from the origin's headers alone, and so does grace: Varnish
# takes stale-while-revalidate for it. Everything that a client sends reaches the origin, the Host
# field too, but the key is the path.
vcl 4.1;

backend origin {
  .host = "127.0.0.1";
  .port = "@ORIGIN@";
  .connect_timeout = 2s;
  .first_byte_timeout = @PATIENCE@s;
  .between_bytes_timeout = @PATIENCE@s;
  .max_connections = 64;
}

sub vcl_recv {
  if (req.method != "GET" && req.method != "HEAD" && req.method != "OPTIONS") {
    return (synth(403));
  }
  set req.url = regsub(req.url, "\?.*$", "");
  unset req.http.Cookie;
  # The built-in rules pass by the cache with it.
  unset req.http.Authorization;
  if (req.method == "OPTIONS") {
    return (pass);
  }
  return (hash);
}

sub vcl_hash {
  hash_data(req.url);
  return (lookup);
}

sub vcl_backend_response {
  # Kept so that there is something to ask If-None-Match with.
  set beresp.keep = 1h;
  # An error is no reason to give up what is there.
  if (beresp.status >= 500 && bereq.is_bgfetch) {
    return (abandon);
  }
}

sub vcl_deliver {
  if (obj.hits > 0) {
    set resp.http.X-Cache = "HIT";
  } else {
    set resp.http.X-Cache = "MISS";
  }
}
