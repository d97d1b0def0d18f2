"""The console's own small pages: the login, the refusals, and the one from which every other page is opened.

A navigation shows no secret but a cookie. So what it gets is the opening page, which holds no data: its script asks
for the same address again with the session's token in a header, and becomes what comes back. It also covers the
second in which NiceGUI is still being imported, and lets the browser fetch NiceGUI's scripts meanwhile.
"""

from __future__ import annotations

import html
import json

TOKEN_HEADER = "x-farero-token"  # noqa: S105 - a name
NONCE_HEADER = "x-farero-nonce"
TOKEN_FIELD = "farero-token"  # noqa: S105 - a name
#: Where the token lies in the browser; unlike cookies, each port has a storage of its own.
STORED = "farero-token"

_STYLE = (
    "<style>:root{color-scheme:light dark}@media(prefers-color-scheme:dark){html{background:#14171a}}"
    "body{font:16px/1.6 system-ui,sans-serif;max-width:30rem;"
    "margin:18vh auto;padding:0 1.5rem}code{background:#8883;padding:.1em .35em;border-radius:.3em}"
    "button{font:inherit;padding:.5em 1.2em}</style>"
)
LOGIN = (
    "<form method=post><button>Open the console</button></form>"
    "<script>document.forms[0].submit()</script>"
)
NEEDS_LINK = "<p>Run <code>farero open</code> for a link.</p>"
USED_UP = "<p>Links work once, for 60 seconds. Run <code>farero open</code> again.</p>"
LOCKED = "<p>Too many wrong links.</p>"

_FORM = (
    """const fileFrom=u=>{const f=document.createElement("form"),i=document.createElement("input");"""
    f"""f.method="post";f.action=u;i.name="{TOKEN_FIELD}";i.value=localStorage.getItem("{STORED}")||"";"""
    """f.append(i);document.body.append(f);f.submit();f.remove()};"""
)
#: Put into every page: a file is asked for by a form, which can hold the token and leaves the page where it is.
FILES = (
    f"""<script>{{{_FORM}addEventListener("click",e=>{{const a=e.target.closest?.('a[href^="/download"]');"""
    """if(a){e.preventDefault();fileFrom(a.href)}},true)}</script>"""
)
_OPEN = (
    f"""{_FORM}const n=document.currentScript.nonce,t=localStorage.getItem("{STORED}"),"""
    """no=()=>{document.querySelector("main").hidden=false};"""
    f"""if(t)fetch(location.href,{{cache:"no-store",headers:{{"{TOKEN_HEADER}":t,"{NONCE_HEADER}":n}}}})"""
    """.then(async a=>{if(a.redirected)history.replaceState(null,"",a.url);"""
    """if((a.headers.get("content-type")||"").startsWith("text/html")){const h=await a.text();"""
    """document.open();document.write(h);document.close()}else{await a.body.cancel();fileFrom(a.url)}})"""
    """.catch(()=>{document.body.textContent="The console does not answer. Reload to try again."});else no()"""
)


def page(title: str, body: str) -> str:
    """Return a whole page; body: HTML."""
    return (
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport "
        f"content='width=device-width'><title>{html.escape(title)}</title>{_STYLE}"
        f"<main><h1>{html.escape(title)}</h1>{body}</main></html>"
    )


def opening(preload: str, token: str = "") -> str:
    """Return the opening page.

    preload: HTML of links to what the browser may fetch meanwhile; token: just made, to be kept by the browser,
    which then opens the first page.
    """
    kept = (
        f'localStorage.setItem("{STORED}",{json.dumps(token)});history.replaceState(null,"","/");'
    )
    return (
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport "
        f"content='width=device-width'><title>Farero</title>{_STYLE}{preload}"
        f"<main hidden><h1>Log in</h1>{NEEDS_LINK}</main>"
        f"<script>{{{kept if token else ''}{_OPEN}}}</script></html>"
    )
