"""The page's style sheet: light and dark after the reader's system, one column on a phone, plain on paper."""

STYLE = """
:root{color-scheme:light dark;--ink:#1c2733;--dim:#586573;--paper:#fff;--card:#f5f7f9;--base:#b9c4cf;--now:#0b6bcb;--bad:#b3261e;--warn:#8f5100;--line:#dde3e9}
@media(prefers-color-scheme:dark){:root{--ink:#e6edf3;--dim:#9aa7b4;--paper:#12181f;--card:#1b232c;--base:#566575;--now:#6cb2ff;--bad:#ff8a80;--warn:#ffbf5e;--line:#2b3640}}
*{box-sizing:border-box}body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,sans-serif;overflow-wrap:anywhere}
main{max-width:76rem;margin:auto;padding:1.2rem}h1{font-size:1.5rem;margin:.2rem 0}h2{font-size:1.15rem;margin:2.2rem 0 .6rem}h3{font-size:1rem;margin:0}
.verdict{padding:1rem;border-left:6px solid var(--now);background:var(--card);font-size:1.15rem;margin:1rem 0}.verdict.critical{border-color:var(--bad)}.verdict.warning{border-color:var(--warn)}
.dim{color:var(--dim);font-size:.9rem;margin:.3rem 0}.scroll{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:.92rem}th,td{text-align:left;vertical-align:top;padding:.35rem .8rem .35rem 0;border-bottom:1px solid var(--line)}
th.n,td.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}.wide td,.wide th{overflow-wrap:normal}.critical>td:first-child,.changed b.c0{color:var(--bad);font-weight:600}.warning>td:first-child{color:var(--warn);font-weight:600}
.counts span{display:inline-block;margin:0 .5rem .4rem 0;padding:.1rem .7rem;border-radius:1rem;background:var(--card);border:1px solid var(--line)}.counts .critical{color:var(--bad)}.counts .warning{color:var(--warn)}
.cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,20rem),1fr));gap:1rem;align-items:start}.card{background:var(--card);border-radius:.6rem;padding:.9rem;border-top:3px solid transparent}.card.changed{border-color:var(--now)}
svg{width:100%;height:auto;display:block;margin-top:.5rem}svg text{fill:var(--dim);font-size:11px;font-family:system-ui,sans-serif}.b{fill:var(--base)}.bl{fill:none;stroke:var(--base);stroke-width:3}.c{fill:none;stroke:var(--now);stroke-width:2}.cf{fill:var(--now)}.g{fill:none;stroke:var(--bad);stroke-width:2}
summary{cursor:pointer}details.card{margin-top:1.5rem}.l{stroke:var(--dim);stroke-dasharray:4 3}.f{fill:var(--now);opacity:.18}.e{stroke:var(--now);opacity:.5;stroke-width:4}.of{margin:.6rem 0 -.4rem;font-size:.85rem;color:var(--dim)}
.key i{display:inline-block;width:.8rem;height:.8rem;margin:0 .3rem 0 .8rem;vertical-align:-1px}.key i:first-child{margin-left:0}
.matrix{width:auto}.matrix td,.matrix th{padding:.35rem .6rem}.matrix small{opacity:.75}div.scroll+h3{margin-top:1.4rem}
.stack td:first-child,.stack th{white-space:nowrap}.scroll+.cards{margin-top:1rem}
@media(max-width:36rem){main{padding:.8rem}.stack thead{display:none}.stack tr{display:block;border-bottom:1px solid var(--line);padding:.4rem 0}.stack td{display:block;border:0;padding:0}.stack td:nth-child(2){font-weight:600}}
""".strip()
