//! Codes of the page and the API.

use super::{Explained, of};

/// In alphabetical order.
pub(super) const ALL: &[Explained] = &[
    of(
        "web.answer",
        "the host process gave an unexpected answer",
        "Something answered at the configured address, but not as kilofold's API does.",
        "check that the address under [web] is that of `kilofold serve`, and that both are of one version",
    ),
    of(
        "web.bind",
        "the web address cannot be used",
        "kilofold could not listen on the address of [web].",
        "end the program that uses it, or set another address under [web] in kilofold.toml",
    ),
    of(
        "web.busy",
        "too many are served already",
        "So many readers of this kind are connected that one more is turned away.",
        "close pages that are left open, or try again later",
    ),
    of(
        "web.csrf",
        "the request bears no token of its page",
        "A request that changes something and comes with a session's cookie must bear the token of that session too, so that no other page can make it.",
        "load the page again; a program sends a bearer token instead of a cookie",
    ),
    of(
        "web.host",
        "sent to a foreign host name",
        "The API answers on loopback to 'localhost' and loopback numbers only, so that a page of another site cannot reach it by a name of its own (DNS rebinding).",
        "use http://localhost or http://127.0.0.1 with the configured port",
    ),
    of(
        "web.internal",
        "the API failed",
        "A piece of the API ended before it could answer.",
        "see the log of `kilofold serve`",
    ),
    of(
        "web.media-type",
        "the body is of another kind",
        "The body of a request must be JSON, and say so.",
        "send 'Content-Type: application/json'",
    ),
    of(
        "web.method",
        "this path does not take that method",
        "The path is there, but not for this method.",
        "see the header Allow, or the document at /api/v1/openapi.json",
    ),
    of(
        "web.origin",
        "sent by a page of another site",
        "A page of another site tried to start something here.",
        "start it from kilofold's own page, or from the command line",
    ),
    of(
        "web.password-hash",
        "what should be the hash of a password is none",
        "[web] names a place where the hash of a password should be, and something else is there. The password itself must not be.",
        "write there what `kilofold password` prints",
    ),
    of(
        "web.path",
        "there is no such page",
        "The API has nothing at this path with this method.",
        "see the document at /api/v1/openapi.json",
    ),
    of(
        "web.request",
        "the request cannot be read",
        "A parameter of the request is missing or not as it should be.",
        "see what the detail names",
    ),
    of(
        "web.role",
        "this needs the role operate",
        "Tokens and passwords have a role: view may read, operate may start, stop and change as well.",
        "use the token or the password that may operate",
    ),
    of(
        "web.serve",
        "the listener failed",
        "The API's listener took no more connections.",
        "see the log; look at the limit of open files (ulimit -n)",
    ),
    of(
        "web.stopping",
        "the host is stopping",
        "It answers no more new questions.",
        "start `kilofold serve` again",
    ),
    of(
        "web.tls",
        "TLS cannot be spoken",
        "The certificate or the key that [web] names cannot be used.",
        "see the reason; both files are PEM, and the certificate's comes first in its file, before its chain",
    ),
    of(
        "web.token",
        "the token is missing or wrong",
        "[web] has a token or a password, so every request must say who asks.",
        "send 'Authorization: Bearer TOKEN', or sign in at /login; the command line takes the token from the configuration",
    ),
    of(
        "web.too-large",
        "the body is too large",
        "The body of the request is longer than any that the API takes.",
        "send less at once",
    ),
    of(
        "web.unreachable",
        "the host process does not answer",
        "The store is in use, so a `kilofold serve` seems to run, but its API did not answer at the configured address.",
        "check the address under [web], whether `kilofold serve` runs with the same configuration, and its log",
    ),
    of(
        "web.weak-token",
        "the token is too short",
        "Who listens where others can reach must not be opened by a token that can be guessed.",
        "make one of 16 characters or more, for example with `openssl rand -hex 32`",
    ),
];
