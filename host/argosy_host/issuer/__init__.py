"""Bearer tokens that somebody else issues: JWTs of one OAuth or OpenID issuer, for ``serve --http --token-issuer``.

Nothing here is imported by a start without that flag.
"""
