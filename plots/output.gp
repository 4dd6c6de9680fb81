
set terminal svg size 900,600 dynamic font 'sans-serif,13' background '#ffffff'
set output figure . '.svg'
eval(draw)
set output
if (strstrt(GPVAL_TERMINALS, 'pngcairo') > 0) {
    set terminal pngcairo size 1800,1200 font 'sans-serif,12' fontscale 1.9 linewidth 2 pointscale 2
} else {
    set terminal png size 1200,800
}
set output figure . '.png'
eval(draw)
set output
