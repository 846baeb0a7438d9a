(function(){'use strict';
var root=document.documentElement,all=function(what,where){return Array.prototype.slice.call((where||document).querySelectorAll(what))};
var theme=document.getElementById('theme');
if(theme)theme.addEventListener('click',function(){var dark=root.dataset.theme?root.dataset.theme==='dark':matchMedia('(prefers-color-scheme:dark)').matches;root.dataset.theme=dark?'light':'dark'});
var tip=document.getElementById('tip'),shown=null;
function place(x,y){var w=tip.offsetWidth,h=tip.offsetHeight,left=x+14,top=y+16;if(left+w>innerWidth-8)left=Math.max(8,x-w-12);if(top+h>innerHeight-8)top=Math.max(8,y-h-12);tip.style.left=left+'px';tip.style.top=top+'px'}
function show(el,x,y){if(el!==shown){shown=el;tip.textContent='';var lines=el.dataset.t.split('\n'),head=document.createElement('b');head.textContent=lines.shift();tip.appendChild(head);tip.appendChild(document.createTextNode(lines.join('\n')));tip.classList.add('show')}place(x,y)}
function hide(){shown=null;tip.classList.remove('show')}
document.addEventListener('pointermove',function(e){var el=e.target.closest&&e.target.closest('[data-t]');if(el)show(el,e.clientX,e.clientY);else if(shown)hide()});
document.addEventListener('pointerdown',function(e){var el=e.target.closest&&e.target.closest('[data-t]');if(el)show(el,e.clientX,e.clientY);else hide()});
addEventListener('scroll',hide,{passive:true});
document.addEventListener('focusin',function(e){var el=e.target;if(el.dataset&&el.dataset.t){var box=el.getBoundingClientRect();show(el,box.left,box.bottom)}});
document.addEventListener('keydown',function(e){if(e.key==='Escape')hide()});
all('.seg').forEach(function(seg){var map=document.getElementById(seg.dataset.for),key=document.getElementById(seg.dataset.key);seg.addEventListener('click',function(e){var button=e.target.closest('button');if(!button)return;all('button',seg).forEach(function(b){b.setAttribute('aria-pressed',String(b===button))});map.dataset.view=button.value;if(key)key.hidden=button.value==='layer';if(key)key.querySelector('b').textContent=button.dataset.most})});
all('.mapbox').forEach(function(box){var map=box.querySelector('.map');function light(layer){all('.u',map).forEach(function(u){u.classList.toggle('lit',layer!==null&&u.dataset.l===layer)})}
map.addEventListener('pointerover',function(e){var u=e.target.closest('.u[data-l]');light(u?u.dataset.l:null)});map.addEventListener('pointerleave',function(){light(null)});
all('.layers li',box).forEach(function(li){function on(){light(li.dataset.l);map.classList.add('dim')}function off(){light(null);map.classList.remove('dim')}li.addEventListener('pointerenter',on);li.addEventListener('pointerleave',off);li.addEventListener('focus',on);li.addEventListener('blur',off)})});
all('input[data-filter]').forEach(function(input){var rows=all('tbody tr',document.getElementById(input.dataset.filter));input.addEventListener('input',function(){var words=input.value.toLowerCase().split(/\s+/);rows.forEach(function(row){var text=row.textContent.toLowerCase();row.hidden=row.className!=='group'&&!words.every(function(w){return text.indexOf(w)>=0})})})});
all('button[data-copy]').forEach(function(button){button.addEventListener('click',function(){var text=document.getElementById(button.dataset.copy).textContent;if(navigator.clipboard)navigator.clipboard.writeText(text).then(function(){button.textContent='Copied'},function(){})})});
var links=all('nav.menu a');
if('IntersectionObserver' in window&&links.length){var seen=new IntersectionObserver(function(entries){entries.forEach(function(entry){if(entry.isIntersecting)links.forEach(function(a){a.classList.toggle('here',a.getAttribute('href')==='#'+entry.target.id)})})},{rootMargin:'-15% 0px -75% 0px'});all('section[id]').forEach(function(s){seen.observe(s)})}
})();
