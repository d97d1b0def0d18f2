"""How the console looks: one style sheet, two palettes."""

CSS = """
:root{--bg:#f7f7f5;--card:#fff;--ink:#1d2329;--dim:#5d6873;--line:#e3e5e4;--accent:#a6480b;--soft:#fbeee2;
--ok:#1b7146;--busy:#8a5a00;--bad:#b3261e;--note:#0b6aa6;
--c1:#0b6aa6;--c2:#c2560c;--c3:#1b7f5c;--c4:#8b3fa8;--c5:#a87c00;--c6:#c0334d;--c7:#5a6b7b;--c8:#0f8a96}
body.body--dark{--bg:#14171a;--card:#1c2024;--ink:#e8eaec;--dim:#9aa5b0;--line:#2d3339;--accent:#f2a25c;
--soft:#33271c;--ok:#5fc995;--busy:#e5b04b;--bad:#ff8f86;--note:#63b5f0;
--c1:#63b5f0;--c2:#f59a58;--c3:#56cba0;--c4:#cf95e8;--c5:#e3c04e;--c6:#ff8ba0;--c7:#a3b3c2;--c8:#5fd0da}
body{background:var(--bg)!important;color:var(--ink);font:15px/1.55 system-ui,-apple-system,"Segoe UI",sans-serif}
.q-page-container,.q-page,.nicegui-content{padding:0!important;gap:0!important;align-items:stretch!important}
.f-skip{position:absolute;left:-99rem}.f-skip:focus{left:1rem;top:.6rem;z-index:9;background:var(--card);
padding:.4rem 1rem}
.f-top{display:flex;align-items:center;gap:.75rem;padding:0 1.5rem;height:56px;border-bottom:1px solid var(--line);
background:var(--card);position:sticky;top:0;z-index:5;width:100%}
.f-brand{font-weight:650;font-size:1.05rem;letter-spacing:-.01em;color:var(--ink)!important;text-decoration:none}
.f-brand::before{content:"";display:inline-block;width:.62em;height:.62em;border-radius:50%;background:var(--accent);
margin-right:.5em}
.f-space{flex:1}.f-body{display:grid;grid-template-columns:196px minmax(0,1fr);width:100%;min-height:calc(100vh - 56px)}
.f-nav{display:flex;flex-direction:column;gap:2px;padding:1.1rem .75rem;border-right:1px solid var(--line)}
.f-nav a{padding:.42rem .8rem;border-radius:7px;color:var(--dim)!important;text-decoration:none;white-space:nowrap}
.f-nav a:hover{background:var(--line)}
.f-nav a[aria-current]{background:var(--soft);color:var(--accent)!important;font-weight:600}
.f-main{padding:1.8rem 2rem 4rem;max-width:1180px;width:100%;display:flex;flex-direction:column;gap:1.25rem}
.f-figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(45%,180px),1fr));gap:1.25rem;width:100%}
.f-main h1{font-size:1.55rem;font-weight:640;letter-spacing:-.02em;line-height:1.2;overflow-wrap:anywhere;
margin:0!important}
.f-main h2,.q-dialog h2{font-size:1rem;letter-spacing:0;line-height:1.3;font-weight:620;margin:0 0 .75rem!important}
.f-card{background:var(--card);border:1px solid var(--line);border-radius:12px;padding:1.15rem 1.3rem;min-width:0;
display:block;width:100%}
.f-grid{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,330px),1fr));gap:1.25rem;width:100%}
.f-scroll{overflow-x:auto;width:100%}.f-table{width:100%;border-collapse:collapse}
.f-table th{font-weight:500;color:var(--dim);font-size:.85rem}
.f-table th,.f-table td{text-align:left;padding:.55rem .9rem .55rem 0;border-bottom:1px solid var(--line);
vertical-align:top}
.f-table tr:last-child td{border-bottom:0}
.f-main a,.f-link{color:var(--accent)!important;text-decoration:none}.f-main a:hover{text-decoration:underline}
.f-dim{color:var(--dim)}.f-pill{display:inline-flex;align-items:center;gap:.45em;white-space:nowrap}
.f-pill::before{content:"";width:.55em;height:.55em;border-radius:50%;background:currentColor}
.f-ok{color:var(--ok)}.f-busy{color:var(--busy)}.f-bad{color:var(--bad)}.f-idle{color:var(--dim)}
.f-pre{font:13px/1.6 ui-monospace,"Cascadia Mono",Menlo,monospace;white-space:pre-wrap;overflow-wrap:anywhere;
max-height:65vh;overflow:auto;margin:0;width:100%}
.f-figure{font-size:1.7rem;font-weight:600;letter-spacing:-.02em;font-variant-numeric:tabular-nums;line-height:1.2}
.f-chart{width:100%;min-width:0}
.f-picker{display:flex;flex-wrap:wrap;gap:2px .25rem;align-items:center}
.f-picker a{padding:.22rem .62rem;border-radius:7px;color:var(--dim)!important;font-size:.9rem}
.f-picker a[aria-current]{background:var(--soft);color:var(--accent)!important;font-weight:600}
.f-custom{position:relative;font-size:.9rem;color:var(--dim)}.f-custom>summary{cursor:pointer;padding:.22rem .62rem}
.f-custom[open]{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:.4rem .8rem .8rem}
.f-charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,440px),1fr));gap:1.25rem;width:100%}
.f-filters{display:flex;flex-wrap:wrap;gap:.4rem 1rem;align-items:end;margin-bottom:.6rem}
.f-tall{max-height:27rem;overflow:auto;width:100%}
.f-glance{display:flex;align-items:center;gap:.7rem;white-space:nowrap;font-variant-numeric:tabular-nums}
.f-glance>:first-child{min-width:4.2rem}.f-ringing{border-color:var(--bad);border-left-width:4px}
.f-spark{display:block;border-bottom:1px solid var(--line);width:7rem;height:1.5rem;overflow:visible}
.f-spark path{fill:none;stroke-width:1.6;
vector-effect:non-scaling-stroke;stroke-linejoin:round}
.f-facts{display:flex;flex-wrap:wrap;gap:.2rem 1.4rem;align-items:center}.f-small{font-size:.86rem}
.f-reason{font-size:.88rem;overflow-wrap:anywhere;min-width:12rem;white-space:pre-wrap}
.f-clip{font:13px/1.5 ui-monospace,"Cascadia Mono",Menlo,monospace;max-width:22rem;overflow:hidden;
text-overflow:ellipsis;white-space:nowrap}
.f-code{font:13px/1.6 ui-monospace,"Cascadia Mono",Menlo,monospace!important}
.f-more>summary{cursor:pointer;padding:.35rem 0;color:var(--dim)}.f-more>summary>div{display:inline}
.f-more>summary::before{content:"▸";display:inline-block;width:1.1em}.f-more[open]>summary::before{content:"▾"}
.f-program{box-sizing:border-box;background:var(--bg);border-radius:8px;padding:.7rem .9rem;margin:0 0 .5rem}
.f-answers{display:flex;flex-wrap:wrap;gap:.6rem;align-items:center}
.f-way{display:flex;flex-wrap:wrap;gap:.2rem .5rem}.f-way a+a::before{content:"/";color:var(--dim);margin-right:.5rem}
.f-drop{background:var(--bg)!important;color:var(--ink)!important;border:1px dashed var(--line);border-radius:10px;
box-shadow:none!important;width:100%}
.f-drop .q-uploader__header{background:transparent!important;color:var(--dim)!important}
.f-tail{display:flex;flex-direction:column-reverse;max-height:70vh;overflow:auto;width:100%}
.f-tail .f-pre{max-height:none;overflow:visible}
.f-verdict{border-left:4px solid var(--ok)}.f-verdict-notice{border-left-color:var(--note)}
.f-verdict-warning{border-left-color:var(--busy)}.f-verdict-critical{border-left-color:var(--bad)}
.f-sentence{font-size:1.2rem;line-height:1.4;font-weight:560;margin-top:.35rem;overflow-wrap:anywhere}
.f-note{color:var(--note)}.f-strong{font-weight:600}
.f-finding{padding:.55rem 0;border-bottom:1px solid var(--line);overflow-wrap:anywhere}
.f-finding:last-child{border-bottom:0}.f-when{white-space:nowrap}
.f-table .f-reason{min-width:9rem}.f-told{min-width:15rem}#feature{scroll-margin-top:68px}
.f-after{margin-top:.8rem}
.f-nothing{padding:1.6rem 0;text-align:center}
.f-button{background:var(--accent);color:var(--card);border:0;border-radius:8px;padding:.42rem 1rem;font:inherit;
font-weight:560;cursor:pointer}
.f-quiet{background:none;border:1px solid var(--line);color:var(--ink);border-radius:8px;padding:.3rem .75rem;
font:inherit;font-size:.88rem;cursor:pointer}
.q-dialog__inner>section{pointer-events:all;max-width:560px;max-height:calc(100vh - 48px);overflow:auto;
overscroll-behavior:contain}.q-dialog__inner--fullwidth>section{max-width:none}
:focus-visible{outline:2px solid var(--accent)!important;outline-offset:2px}
@media(max-width:760px){.f-body{grid-template-columns:minmax(0,1fr);grid-template-rows:auto 1fr}
.f-nav{flex-direction:row;overflow-x:auto;border-right:0;border-bottom:1px solid var(--line);padding:.5rem 1rem}
.f-main{padding:1.2rem 1rem 3rem}.f-top{padding:0 1rem;gap:.5rem}}
@media(prefers-reduced-motion:reduce){*{transition:none!important;animation:none!important}}
"""
