# How every figure looks: Okabe and Ito's colours, which all eyes can tell apart, and a point type
# of its own for each curve, for print without colour.
array colour_of[7] = ['#0072B2', '#D55E00', '#009E73', '#CC79A7', '#E69F00', '#56B4E9', '#000000']
array point_of[8] = [7, 5, 9, 13, 11, 6, 4, 8]
colour(i) = colour_of[1 + (i - 1) % 7]
point(i) = point_of[1 + (i - 1) % 8]
faint(i) = '#90' . substr(colour(i), 2, 7)

csv = figure . '.csv'
set datafile separator comma
set datafile columnheaders
is(i, kind) = column('curve') == i && stringcolumn('kind') eq kind
mark(on) = column('mark') == on ? sprintf('%.0f', column('nprobe')) : ''

set border 3 linecolor '#444444'
set tics nomirror textcolor '#222222'
set grid xtics ytics linetype 1 linewidth 0.6 linecolor '#dddddd'
set xlabel textcolor '#222222'
set ylabel textcolor '#222222'
# the key has the foot of the sheet for itself, where it hides nothing
longest = 0
do for [i = 1:curves] { longest = strlen(label_of[i]) > longest ? strlen(label_of[i]) : longest }
key_columns = longest <= 26 ? 3 : longest <= 48 ? 2 : 1
key_rows = (curves + key_columns - 1) / key_columns
set key at screen 0.5, char 0.6 center bottom Left reverse horizontal maxcols key_columns noenhanced samplen 2.5
set bmargin 4.2 + 1.2 * key_rows
set tmargin 4.4
set rmargin 4
set label 1 title at graph 0, graph 1 offset 0, char 2.5 left noenhanced font ',17' textcolor '#111111'
small = sprintf(',%.1f', strlen(subtitle) > 100 ? 1100. / strlen(subtitle) : 11)
set label 2 subtitle at graph 0, graph 1 offset 0, char 1.1 left noenhanced font small textcolor '#555555'
