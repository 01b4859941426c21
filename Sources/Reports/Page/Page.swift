/// The frame of a page: everything it needs is in it, so it can be sent around and opened without a network.
enum Page {
    static func html(title: String, body: String) -> String {
        """
        <!doctype html>
        <html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
        <meta name="color-scheme" content="light dark"><link rel="icon" href="data:,">
        <title>\(escape(title))</title><style>\(style)</style></head><body><main>
        \(body)</main><script>\(script)</script></body></html>

        """
    }

    // Colours after Okabe and Ito, which people who see few colours tell apart.
    private static let style = """
        :root{--bg:#fff;--fg:#1a1d21;--soft:#5b6470;--line:#d9dde3;--card:#f6f7f9;--warn:#fff4d6;--warnline:#d9a400;--bad:#fde5e1;--badline:#c8402a;
        --c0:#0072b2;--c1:#d55e00;--c2:#009e73;--c3:#b3589a;--c4:#b08900;--c5:#3f9bd6;--c6:#7a5cc0;--c7:#5b6470}
        @media (prefers-color-scheme:dark){:root{--bg:#14171b;--fg:#e6e9ed;--soft:#9aa5b1;--line:#333a43;--card:#1d2228;--warn:#3a3115;--warnline:#d9a400;
        --bad:#45211b;--badline:#ef7c66;--c0:#56b4e9;--c1:#f08a4b;--c2:#35c99b;--c3:#e09bc8;--c4:#e8c63f;--c5:#8fd0f5;--c6:#b49df0;--c7:#9aa5b1}}
        *{box-sizing:border-box}body{margin:0;background:var(--bg);color:var(--fg);font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
        main{max-width:62rem;margin:0 auto;padding:1.25rem 1rem 3rem}h1{font-size:1.5rem;margin:0 0 .25rem;overflow-wrap:anywhere}
        h2{font-size:1.1rem;margin:2rem 0 .5rem;border-bottom:1px solid var(--line);padding-bottom:.25rem}p{margin:.5rem 0}
        .sub,.note,small,.abscissa{color:var(--soft);font-size:.85rem;overflow-wrap:anywhere}.verdict{font-size:1.1rem;margin:1rem 0}
        .tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(9.5rem,1fr));gap:.6rem;margin:1rem 0}
        .tile{background:var(--card);border:1px solid var(--line);border-radius:.5rem;padding:.6rem .75rem}
        .tile b{display:block;font-size:1.3rem;font-weight:600}.tile span{color:var(--soft);font-size:.8rem}
        .finding{background:var(--warn);border-left:4px solid var(--warnline);border-radius:.25rem;padding:.5rem .75rem;margin:.5rem 0;overflow-wrap:anywhere}
        .finding.bad{background:var(--bad);border-color:var(--badline)}.finding em{display:block;font-style:normal;color:var(--soft)}
        .charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,26rem),1fr));gap:1.25rem}
        figure{margin:0;min-width:0;break-inside:avoid}table+figure{margin-top:1.25rem}figcaption{font-weight:600;font-size:.95rem}
        .legend{display:flex;flex-wrap:wrap;gap:.1rem .9rem;font-size:.8rem;color:var(--soft);overflow-wrap:anywhere}.legend span{min-width:0}
        .k{display:inline-block;width:.9rem;height:3px;margin-right:.35rem;vertical-align:middle;background:currentColor}
        .k.level{background:repeating-linear-gradient(90deg,var(--soft) 0 4px,transparent 4px 7px)}
        .plot{position:relative;padding:.4rem .6rem 1.3rem 3.4rem}.area{position:relative;height:13rem;touch-action:pan-y}
        .area svg{width:100%;height:100%;display:block;overflow:visible}.ys{position:absolute;left:0;top:.4rem;bottom:1.3rem;width:3.1rem}
        .xs{position:absolute;left:3.4rem;right:.6rem;bottom:0;height:1.2rem}.ys b,.xs b{position:absolute;font:.75rem system-ui,sans-serif;color:var(--soft);white-space:nowrap}
        .ys b{right:0;transform:translateY(-50%)}.xs b{transform:translateX(-50%)}.abscissa{text-align:center}
        svg path{fill:none;vector-effect:non-scaling-stroke}.grid{stroke:var(--line);stroke-width:1}.level{stroke:var(--soft);stroke-width:1.5;stroke-dasharray:4 3}
        .line{stroke-width:1.6;stroke-linejoin:round}.dash{stroke-dasharray:6 3}.dot{stroke-width:6;stroke-linecap:round}
        .s0{stroke:var(--c0)}.s1{stroke:var(--c1)}.s2{stroke:var(--c2)}.s3{stroke:var(--c3)}.s4{stroke:var(--c4)}.s5{stroke:var(--c5)}.s6{stroke:var(--c6)}.s7{stroke:var(--c7)}
        .c0{color:var(--c0)}.c1{color:var(--c1)}.c2{color:var(--c2)}.c3{color:var(--c3)}.c4{color:var(--c4)}.c5{color:var(--c5)}.c6{color:var(--c6)}.c7{color:var(--c7)}
        .cursor{position:absolute;top:0;bottom:0;width:1px;background:var(--soft);display:none;pointer-events:none}
        .tip{position:absolute;top:0;display:none;pointer-events:none;background:var(--bg);border:1px solid var(--line);border-radius:.3rem;padding:.25rem .45rem;
        font-size:.78rem;white-space:nowrap;box-shadow:0 1px 4px #0003;z-index:1;max-width:100%;overflow:hidden;text-overflow:ellipsis}
        .trace{margin-top:.5rem}.trace .rank{font-size:.85rem;margin-top:.5rem}.track,.axis{display:flex;align-items:flex-start;margin:2px 0}
        .track span{flex:0 0 4.6rem;font-size:.72rem;color:var(--soft);overflow:hidden;white-space:nowrap;text-overflow:ellipsis}.track svg{flex:1;min-width:0;background:var(--card)}
        .axis{position:relative;height:1.2rem;margin-left:4.6rem}.axis .xs{left:0;right:0}rect{stroke:var(--bg);stroke-width:.6;vector-effect:non-scaling-stroke}
        .f0{fill:var(--c0)}.f1{fill:var(--c1)}.f2{fill:var(--c2)}.f3{fill:var(--c3)}.f4{fill:var(--c4)}.f5{fill:var(--c5)}.f7{fill:var(--c7)}
        .stack{display:flex;height:1.6rem;border-radius:.3rem;overflow:hidden;margin:.5rem 0}.stack i{background:currentColor;min-width:1px}
        .scroll{overflow-x:auto}table{border-collapse:collapse;font-size:.88rem;width:100%}th,td{text-align:left;padding:.25rem .6rem;border-bottom:1px solid var(--line);vertical-align:top}
        th{color:var(--soft);font-weight:600}.n td:not(:first-child),.n th:not(:first-child){text-align:right;font-variant-numeric:tabular-nums}.n td:not(:first-child){white-space:nowrap}td{overflow-wrap:anywhere}
        pre{background:var(--card);border:1px solid var(--line);border-radius:.3rem;padding:.6rem;white-space:pre-wrap;overflow-wrap:anywhere;font-size:.82rem}
        details summary{cursor:pointer;color:var(--soft)}img{max-width:100%;height:auto}
        @media print{:root{--bg:#fff;--fg:#000;--soft:#444;--line:#bbb;--card:#fff;--warn:#fff;--bad:#fff;--c0:#0072b2;--c1:#d55e00;--c2:#009e73;--c3:#b3589a;--c4:#b08900;--c5:#3f9bd6;--c6:#7a5cc0;--c7:#5b6470}
        body{font-size:11pt;print-color-adjust:exact;-webkit-print-color-adjust:exact}main{max-width:none;padding:0}.charts{grid-template-columns:1fr 1fr}section,.tile,tr{break-inside:avoid}.area{height:9rem}}
        """

    // Nearest point of each curve by bisection; the tip stays within the chart.
    private static let script = """
        document.querySelectorAll('figure.chart').forEach(function(f){var d=JSON.parse(f.querySelector('script').textContent),a=f.querySelector('.area'),
        t=f.querySelector('.tip'),c=f.querySelector('.cursor');function near(x,v){var l=0,h=x.length-1;while(l<h){var m=l+h>>1;if(x[m]<v)l=m+1;else h=m}
        return l>0&&v-x[l-1]<x[l]-v?l-1:l}function show(e){var r=a.getBoundingClientRect(),p=Math.min(1,Math.max(0,(e.clientX-r.left)/r.width)),
        v=d.lo+p*(d.hi-d.lo),best=null;d.s.forEach(function(s){var i=near(s.x,v);if(best===null||Math.abs(s.x[i]-v)<Math.abs(best-v))best=s.x[i]});
        t.textContent='';var h=document.createElement('div');h.textContent=d.a+' '+best;t.appendChild(h);d.s.forEach(function(s){var i=near(s.x,best),
        n=document.createElement('div'),k=document.createElement('i');k.className='k c'+s.c;n.appendChild(k);
        n.appendChild(document.createTextNode(s.n+': '+s.y[i]+(s.x[i]===best?'':' (at '+s.x[i]+')')));t.appendChild(n)});
        t.style.display=c.style.display='block';var q=d.hi>d.lo?(best-d.lo)/(d.hi-d.lo):0;c.style.left=q*100+'%';
        t.style.left=Math.max(0,Math.min(q*r.width+8,r.width-t.offsetWidth))+'px'}
        function hide(){t.style.display=c.style.display='none'}a.addEventListener('pointermove',show);a.addEventListener('pointerdown',show);a.addEventListener('pointerleave',hide)});
        """
}
