"""The looks of the page: plain, quiet, legible by day and by night, good on paper."""

STYLE = """
:root{--bg:#fff;--ink:#1f2328;--soft:#59636e;--line:#d1d9e0;--card:#f6f8fa;--warn:#b42318}
@media (prefers-color-scheme:dark){:root{--bg:#0d1117;--ink:#e6edf3;--soft:#9198a1;--line:#30363d;
--card:#151b23;--warn:#ff7b72}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--ink);
font:15px/1.55 system-ui,-apple-system,'Segoe UI',Helvetica,Arial,sans-serif}
main{max-width:1120px;margin:0 auto;padding:28px 20px 60px}
h1{font-size:26px;margin:0 12px 0 0;display:inline-block}h2{font-size:18px;margin:36px 0 10px}
.span,.note{color:var(--soft);margin:4px 0}
.badge{border:1.5px solid var(--warn);color:var(--warn);border-radius:6px;padding:2px 8px;
font-weight:700;font-size:13px;letter-spacing:1px;vertical-align:4px}
.verdict{font-size:17px;background:var(--card);border-left:4px solid #2f7fd6;border-radius:6px;
padding:14px 18px;margin:20px 0}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:14px}
th,td{padding:6px 10px;border-bottom:1px solid var(--line);text-align:left;vertical-align:top}
th{color:var(--soft);font-weight:600;white-space:nowrap}
table.numbers{width:auto;min-width:56%}
table.numbers td:not(:first-child),table.numbers th:not(:first-child){text-align:right;
font-variant-numeric:tabular-nums;white-space:nowrap}
table.words td{font-variant-numeric:tabular-nums}
table.words td:last-child{min-width:300px}table.words td.whole,table.numbers td{white-space:nowrap}
td[title]{text-decoration:underline dotted var(--line);text-underline-offset:4px;cursor:help}
table.stamp{width:auto}table.stamp td{font-family:ui-monospace,Menlo,Consolas,monospace;font-size:12.5px;
word-break:break-word}
#chart{height:560px}
details{margin-top:12px}summary{cursor:pointer;color:var(--soft)}
@media (max-width:600px){
main{padding:18px 14px 40px}h1{font-size:22px}.verdict{font-size:15.5px;padding:12px 14px}
th,td{padding:5px 7px}table{font-size:13px}
table.numbers th:first-child,table.numbers td:first-child{position:sticky;left:0;background:var(--bg);
white-space:normal;max-width:112px}
table.words thead{display:none}
table.words,table.words tbody,table.words tr,table.words td{display:block;width:100%}
table.words tr{border:1px solid var(--line);border-radius:8px;margin:0 0 12px;padding:6px 10px}
table.words td{border:0;padding:2px 0;display:flex;justify-content:space-between;gap:14px;text-align:right}
table.words td::before{content:attr(data-label);color:var(--soft);white-space:nowrap;text-align:left}
table.words td:last-child{display:block;text-align:left;min-width:0;padding-top:6px}
table.words td:last-child::before{content:""}
#chart{height:460px}
}
@media print{main{max-width:none}#chart{height:420px}details{display:none}}
"""

SCRIPT = """
(function(){
  var figure=JSON.parse(document.getElementById('figure').textContent);
  var chart=document.getElementById('chart');
  var dark=window.matchMedia('(prefers-color-scheme: dark)');
  function theme(){
    var ink=dark.matches?'#e6edf3':'#1f2328', grid=dark.matches?'#30363d':'#e3e8ed';
    var change={'paper_bgcolor':'rgba(0,0,0,0)','plot_bgcolor':'rgba(0,0,0,0)','font.color':ink,
      'hoverlabel.bgcolor':dark.matches?'#151b23':'#ffffff'};
    ['xaxis','yaxis','yaxis2'].forEach(function(axis){
      change[axis+'.gridcolor']=grid; change[axis+'.zerolinecolor']=grid;
    });
    return change;
  }
  var small=window.innerWidth<600;
  if(small){
    figure.layout.margin={l:52,r:10,t:70,b:36};
    figure.layout.legend={orientation:'h',x:0,y:1.02,yanchor:'bottom',font:{size:11}};
    figure.layout.font={size:11};
    figure.layout.xaxis.nticks=5;
  }
  Plotly.newPlot(chart,figure.data,figure.layout,
    {responsive:true,displaylogo:false,displayModeBar:small?false:'hover'})
    .then(function(){Plotly.relayout(chart,theme());});
  dark.addEventListener('change',function(){Plotly.relayout(chart,theme());});
})();
"""
