"""Interactive figures: one SVG with its script, which needs neither a library nor a network."""

from __future__ import annotations

import json
import math
import os
from html import escape

from ._errors import InvalidError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional, Sequence, Tuple

    from ._types import Path

    #: x, y, and the lower and upper end of a band.
    Columns = Tuple[List[float], List[float], Optional[List[float]], Optional[List[float]]]

#: Told apart also by those who see few colours (Okabe and Ito, Color Universal Design, 2008).
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f7f7f", "#b8a900")
_WIDTH, _HEIGHT = 720, 380
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 16, 34, 44
_POINTS_MAX = 1000


class Chart:
    """Lines or points over one axis, shown by notebooks: hover reads values, a click on a name hides it, dragging zooms, a
    double click shows all again, and `log` changes the scale. Without scripts it is a plain figure.

    Parameters
    ----------
    title, x, y : str
        What stands above it and at its axes.
    """

    def __init__(self, title: str = "", x: str = "step", y: str = "") -> None:
        self.title, self.x, self.y = title, x, y
        self._lines: List[Dict[str, Any]] = []

    def __len__(self) -> int:
        return len(self._lines)

    def line(
        self,
        name: str,
        x: Sequence[float],
        y: Sequence[float],
        low: Optional[Sequence[float]] = None,
        high: Optional[Sequence[float]] = None,
        *,
        dots: bool = False,
        notes: Optional[Sequence[str]] = None,
    ) -> Chart:
        """Add a line, with a band from `low` to `high` when given, or `dots`; `notes` are shown at the points."""
        points: List[List[Any]] = []
        for place, (at, value) in enumerate(zip(x, y)):
            if not (_is_finite(at) and _is_finite(value)):
                continue
            point: List[Any] = [at, value]
            if low is not None and high is not None:
                point += [low[place], high[place]] if _is_finite(low[place]) and _is_finite(high[place]) else [value, value]
            elif notes is not None:
                point += [notes[place]]
            points.append(point)
        self._lines.append(
            {
                "name": str(name),
                "color": COLORS[len(self._lines) % len(COLORS)],
                "dots": dots,
                "band": low is not None,
                "points": points if dots else _thin(points),
            }
        )
        return self

    def _bounds(self) -> Tuple[float, float, float, float]:
        xs = [point[0] for line in self._lines for point in line["points"]]
        ys = [
            value for line in self._lines for point in line["points"] for value in (point[1:4] if line["band"] else point[1:2])
        ]
        if not xs:
            return 0.0, 1.0, 0.0, 1.0
        x0, x1, y0, y1 = min(xs), max(xs), min(ys), max(ys)
        if x0 == x1:
            x0, x1 = x0 - 0.5, x1 + 0.5
        room = (y1 - y0) * 0.04 or abs(y0) * 0.1 or 0.5
        return x0, x1, y0 - room, y1 + room

    def svg(self, id: str = "") -> str:
        """Return the figure as SVG."""
        x0, x1, y0, y1 = self._bounds()

        def across(x: float) -> float:
            return _LEFT + (x - x0) / (x1 - x0) * (_WIDTH - _LEFT - _RIGHT)

        def up(y: float) -> float:
            return _HEIGHT - _BOTTOM - (y - y0) / (y1 - y0) * (_HEIGHT - _TOP - _BOTTOM)

        parts = [
            f'<svg {f"id={chr(34)}{id}{chr(34)} " if id else ""}xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
            f'width="{_WIDTH}" style="max-width:100%;height:auto;background:#fff;user-select:none" '
            f'font-family="system-ui,sans-serif" font-size="12" role="img" aria-label="{escape(self.title or self.y)}">',
            f'<text x="{_LEFT}" y="20" font-size="14" font-weight="600" fill="#222">{escape(_one_line(self.title))}</text>',
            '<g class="axes" fill="#555" stroke="none">',
        ]
        for value in ticks(x0, x1):
            at = across(value)
            parts.append(
                f'<line x1="{at:.1f}" x2="{at:.1f}" y1="{_TOP}" y2="{_HEIGHT - _BOTTOM}" stroke="#eee"/>'
                f'<text x="{at:.1f}" y="{_HEIGHT - _BOTTOM + 16}" text-anchor="middle">{_short(value)}</text>'
            )
        for value in ticks(y0, y1):
            at = up(value)
            parts.append(
                f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{at:.1f}" y2="{at:.1f}" stroke="#eee"/>'
                f'<text x="{_LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{_short(value)}</text>'
            )
        parts.append(
            f'</g><text x="{(_LEFT + _WIDTH - _RIGHT) / 2:.0f}" y="{_HEIGHT - 8}" text-anchor="middle" fill="#333">'
            f"{escape(_one_line(self.x))}</text>"
            f'<text transform="translate(14 {(_TOP + _HEIGHT - _BOTTOM) / 2:.0f}) rotate(-90)" text-anchor="middle" fill="#333">'
            f'{escape(_one_line(self.y))}</text><g class="lines">'
        )
        for line in self._lines:
            color, points = line["color"], line["points"]
            if line["dots"]:
                parts += [f'<circle cx="{across(p[0]):.1f}" cy="{up(p[1]):.1f}" r="3.2" fill="{color}" fill-opacity=".6"/>' for p in points]
                continue
            if line["band"] and points:
                edge = [f"{across(p[0]):.1f},{up(p[3]):.1f}" for p in points]
                edge += [f"{across(p[0]):.1f},{up(p[2]):.1f}" for p in reversed(points)]
                parts.append(f'<polygon points="{" ".join(edge)}" fill="{color}" fill-opacity=".18"/>')
            way = " ".join(f"{across(p[0]):.1f},{up(p[1]):.1f}" for p in points)
            parts.append(f'<polyline points="{way}" fill="none" stroke="{color}" stroke-width="1.6" stroke-linejoin="round"/>')
        parts.append("</g></svg>")
        return "".join(parts)

    def _legend(self) -> str:
        if len(self._lines) < 2:
            return ""
        names = [
            f'<span data-line="{place}" style="cursor:pointer;margin-right:14px;white-space:nowrap">'
            f'<span style="display:inline-block;width:12px;height:3px;vertical-align:middle;margin-right:5px;background:{line["color"]}">'
            f"</span>{escape(_one_line(line['name'], 60))}</span>"
            for place, line in enumerate(self._lines[:24])
        ]
        more = f"<span>… {len(self._lines) - 24} more</span>" if len(self._lines) > 24 else ""
        return f'<div class="legend" style="padding:2px 0 0 {_LEFT}px">{"".join(names)}{more}</div>'

    def html(self) -> str:
        """Return the figure as a piece of HTML."""
        id = "mle" + os.urandom(6).hex()
        data = {
            "lines": self._lines,
            "bounds": self._bounds(),
            "frame": [_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM],
            "x": self.x,
        }
        # Inside a script only these letters could end it.
        text = json.dumps(data).replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
        return (
            f'<div id="{id}" class="mle-chart" style="position:relative;max-width:{_WIDTH}px;color:#222;background:#fff;'
            f'font:12px system-ui,sans-serif">{self.svg()}'
            f"{self._legend()}"
            f'<script>(function(){{var root=document.getElementById("{id}");var data={text};{_SCRIPT}}})();</script></div>'
        )

    def _repr_html_(self) -> str:
        return self.html()

    def __repr__(self) -> str:
        return f"<mle.Chart {self.title!r}: {', '.join(line['name'] for line in self._lines)}>"

    def save(self, path: Path) -> None:
        """Write it as a page of its own (`.html`) or as a picture (`.svg`).

        Raises
        ------
        InvalidError
            For another ending: PNG and PDF are matplotlib's, by :meth:`mle.Study.plot` and the like.
        """
        path = os.fspath(path)
        ending = os.path.splitext(path)[1].lower()
        if ending == ".svg":
            text = self.svg()
        elif ending not in (".html", ".htm"):
            steps = "save it as .html or .svg; for PNG and PDF matplotlib draws it: db.plot(…).figure.savefig(path), study.plot() likewise"
            raise InvalidError(f"{path}: a chart is written as HTML or SVG, not as {ending or 'a file without an ending'}", steps)
        else:
            text = (
                f'<!doctype html><html><head><meta charset="utf-8"><title>{escape(self.title)}</title></head>'
                f"<body>{self.html()}</body></html>"
            )
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)

    def to_html(self) -> str:
        """As :meth:`html`; so `Logger.figure` takes it."""
        return self.html()


def ticks(low: float, high: float, count: int = 6) -> List[float]:
    """Return round numbers between two.

    >>> mle._chart.ticks(0.0, 1.0)
    [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    """
    rough = (high - low) / count
    if not (rough > 0.0 and _is_finite(rough)):
        return []
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    found: List[float] = []
    place = math.ceil(low / step - 1e-9)
    while place * step <= high + step * 1e-9 and len(found) < 20:
        found.append(round(place * step, 12 - math.floor(math.log10(abs(step) or 1.0))))
        place += 1
    return found


def _is_finite(value: Any) -> bool:
    return isinstance(value, (int, float)) and value - value == 0.0


def _short(value: float) -> str:
    return f"{value:.6g}"


def _one_line(text: str, most: int = 90) -> str:
    text = "".join(letter if letter.isprintable() else " " for letter in str(text))
    return text if len(text) <= most else text[: most - 1] + "…"


def _thin(points: List[List[Any]]) -> List[List[Any]]:
    """Keep the least and the largest of each group, so that no peak is lost."""
    if len(points) <= _POINTS_MAX:
        return points
    size = -(-len(points) // (_POINTS_MAX // 2))
    kept = []
    for start in range(0, len(points), size):
        group = range(start, min(start + size, len(points)))
        ends = {min(group, key=lambda i: points[i][1]), max(group, key=lambda i: points[i][1])}
        kept += [points[i] for i in sorted(ends)]
    return kept


def sparkline(values: Sequence[Any], width: int = 110, height: int = 22) -> str:
    """Return a small line as SVG; nothing for fewer than two numbers."""
    numbers = [value for value in values if _is_finite(value)]
    if len(numbers) < 2:
        return ""
    points = [point[1] for point in _thin([[at, value] for at, value in enumerate(numbers)])]
    low, high = min(points), max(points)
    across, up = (width - 2) / (len(points) - 1), (height - 4) / ((high - low) or 1.0)
    way = " ".join(f"{1 + at * across:.1f},{height - 2 - (value - low) * up:.1f}" for at, value in enumerate(points))
    return (
        f'<svg width="{width}" height="{height}" viewBox="0 0 {width} {height}" style="vertical-align:middle">'
        f'<polyline points="{way}" fill="none" stroke="{COLORS[0]}" stroke-width="1.3"/></svg>'
    )


_SCRIPT = r"""
var svg=root.querySelector("svg"),NS="http://www.w3.org/2000/svg",F=data.frame,hidden={},view=data.bounds.slice(),log=false,drag=null;
var plot=svg.querySelector(".lines"),axes=svg.querySelector(".axes");
function make(tag,at,parent,text){var e=document.createElementNS(NS,tag);for(var k in at)e.setAttribute(k,at[k]);
 if(text!==undefined)e.textContent=text;parent.appendChild(e);return e}
var clip=root.id+"c";make("rect",{x:F[2],y:F[4],width:F[0]-F[2]-F[3],height:F[1]-F[4]-F[5]},make("clipPath",{id:clip},make("defs",{},svg)));
plot.setAttribute("clip-path","url(#"+clip+")");
var over=make("g",{"pointer-events":"none"},svg),toggle=make("text",{x:F[0]-F[3],y:20,"text-anchor":"end",fill:"#0072b2",style:"cursor:pointer"},svg,"log");
var tip=document.createElement("div");
tip.style.cssText="position:absolute;display:none;pointer-events:none;background:rgba(255,255,255,.95);border:1px solid #bbb;border-radius:4px;padding:4px 7px;z-index:9;max-width:320px";
root.appendChild(tip);
function s(y){return log?Math.log10(y):y}
function X(x){return F[2]+(x-view[0])/(view[1]-view[0])*(F[0]-F[2]-F[3])}
function Y(y){return F[1]-F[5]-(s(y)-s(view[2]))/(s(view[3])-s(view[2]))*(F[1]-F[4]-F[5])}
function unX(px){return view[0]+(px-F[2])/(F[0]-F[2]-F[3])*(view[1]-view[0])}
function unY(py){var v=s(view[2])+(F[1]-F[5]-py)/(F[1]-F[4]-F[5])*(s(view[3])-s(view[2]));return log?Math.pow(10,v):v}
function num(v){return String(+v.toPrecision(6))}
function ticks(a,b){var r=(b-a)/6,p=Math.pow(10,Math.floor(Math.log10(r))),t=[],st=[1,2,5,10].map(function(f){return f*p}).find(function(q){return q>=r*.999});
 for(var i=Math.ceil(a/st-1e-9);i*st<=b+st*1e-9&&t.length<20;i++)t.push(+(i*st).toPrecision(12));return t}
function logticks(a,b){var t=[];for(var e=Math.floor(Math.log10(a));e<=Math.ceil(Math.log10(b));e++)[1,2,5].forEach(function(f){var v=f*Math.pow(10,e);
 if(v>=a&&v<=b)t.push(v)});return t.length>12?t.filter(function(v){return Math.abs(Math.log10(v)%1)<1e-9}):t}
function draw(){
 while(plot.firstChild)plot.removeChild(plot.firstChild);while(axes.firstChild)axes.removeChild(axes.firstChild);
 ticks(view[0],view[1]).forEach(function(v){var x=X(v);make("line",{x1:x,x2:x,y1:F[4],y2:F[1]-F[5],stroke:"#eee"},axes);
  make("text",{x:x,y:F[1]-F[5]+16,"text-anchor":"middle"},axes,num(v))});
 (log?logticks(view[2],view[3]):ticks(view[2],view[3])).forEach(function(v){var y=Y(v);make("line",{x1:F[2],x2:F[0]-F[3],y1:y,y2:y,stroke:"#eee"},axes);
  make("text",{x:F[2]-6,y:y+4,"text-anchor":"end"},axes,num(v))});
 data.lines.forEach(function(l,i){if(hidden[i])return;var ps=l.points.filter(function(p){return !log||p[1]>0});
  if(l.dots){ps.forEach(function(p){make("circle",{cx:X(p[0]),cy:Y(p[1]),r:3.2,fill:l.color,"fill-opacity":.6},plot)});return}
  if(l.band&&ps.length){var e=ps.map(function(p){return X(p[0])+","+Y(p[3])}).concat(ps.slice().reverse().map(function(p){
   return X(p[0])+","+Y(log?Math.max(p[2],view[2]*1e-3):p[2])}));make("polygon",{points:e.join(" "),fill:l.color,"fill-opacity":.18},plot)}
  make("polyline",{points:ps.map(function(p){return X(p[0])+","+Y(p[1])}).join(" "),fill:"none",stroke:l.color,"stroke-width":1.6,"stroke-linejoin":"round"},plot)})}
function fit(){view=data.bounds.slice();if(log){var least=Infinity;data.lines.forEach(function(l,i){if(!hidden[i])l.points.forEach(function(p){if(p[1]>0&&p[1]<least)least=p[1]})});
 if(!isFinite(least)){log=false}else view[2]=least*.9}toggle.textContent=log?"linear":"log";draw()}
function at(e){var r=svg.getBoundingClientRect(),k=F[0]/r.width;return [(e.clientX-r.left)*k,(e.clientY-r.top)*k]}
function inside(p){return p[0]>=F[2]&&p[0]<=F[0]-F[3]&&p[1]>=F[4]&&p[1]<=F[1]-F[5]}
function clear(){while(over.firstChild)over.removeChild(over.firstChild);tip.style.display="none"}
svg.addEventListener("mousemove",function(e){var p=at(e);clear();
 if(drag){make("rect",{x:Math.min(p[0],drag[0]),y:Math.min(p[1],drag[1]),width:Math.abs(p[0]-drag[0]),height:Math.abs(p[1]-drag[1]),fill:"#0072b2","fill-opacity":.12,stroke:"#0072b2"},over);return}
 if(!inside(p))return;var rows=[],x=null;
 data.lines.forEach(function(l,i){if(hidden[i])return;var best=null,d=Infinity;l.points.forEach(function(q){
   var a=Math.abs(X(q[0])-p[0])+(l.dots?Math.abs(Y(q[1])-p[1]):0);if(a<d){d=a;best=q}});
  if(!best||d>(l.dots?12:40)||(log&&best[1]<=0))return;if(x===null)x=best[0];
  make("circle",{cx:X(best[0]),cy:Y(best[1]),r:4,fill:l.color},over);
  var more=l.band?" ["+num(best[2])+" … "+num(best[3])+"]":best[2]!==undefined?" "+best[2]:"";rows.push([l.color,l.name+": "+num(best[1])+more,best[0]])});
 if(!rows.length)return;make("line",{x1:X(x),x2:X(x),y1:F[4],y2:F[1]-F[5],stroke:"#999","stroke-dasharray":"3 3"},over);
 tip.textContent="";var head=document.createElement("div");head.textContent=data.x+" "+num(x);head.style.fontWeight="600";tip.appendChild(head);
 rows.slice(0,12).forEach(function(r){var d=document.createElement("div");d.textContent=r[1];d.style.color=r[0];tip.appendChild(d)});
 var r=svg.getBoundingClientRect(),k=r.width/F[0];tip.style.display="block";
 tip.style.left=(p[0]>F[0]*.6?p[0]*k-tip.offsetWidth-14:p[0]*k+14)+"px";tip.style.top=(p[1]*k+10)+"px"});
svg.addEventListener("mouseleave",function(){drag=null;clear()});
svg.addEventListener("mousedown",function(e){var p=at(e);if(inside(p)){drag=p;e.preventDefault()}});
svg.addEventListener("mouseup",function(e){if(!drag)return;var p=at(e),q=drag;drag=null;clear();
 if(Math.abs(p[0]-q[0])>6&&Math.abs(p[1]-q[1])>6){view=[unX(Math.min(p[0],q[0])),unX(Math.max(p[0],q[0])),unY(Math.max(p[1],q[1])),unY(Math.min(p[1],q[1]))];draw()}});
svg.addEventListener("dblclick",fit);
toggle.addEventListener("click",function(){log=!log;fit()});
root.querySelectorAll("[data-line]").forEach(function(e){e.addEventListener("click",function(){var i=+e.getAttribute("data-line");
 hidden[i]=!hidden[i];e.style.opacity=hidden[i]?.35:1;draw()})});
"""
