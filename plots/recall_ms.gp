
set xlabel recall_words noenhanced
set ylabel 'milliseconds for all queries (log scale)'
set logscale y
set label 3 'numbers at points: nprobe' at graph 0.015, graph 0.95 left font ',11' textcolor '#777777'
pick(i, kind) = is(i, kind) ? column(recall) : NaN
draw = "plot \
 for [i = 1:(many_seeds ? curves : 0)] csv using (pick(i, 'seed')):'search_ms' \
     with points pointtype point(i) pointsize 0.6 linecolor rgb faint(i) notitle, \
 for [i = 1:curves] csv using (pick(i, 'median')):'search_ms':'search_ms_q1':'search_ms_q3' \
     with yerrorbars pointsize 0 linewidth 1.2 linecolor rgb colour(i) notitle, \
 for [i = 1:curves] csv using (pick(i, 'median')):'search_ms' \
     with linespoints pointtype point(i) linewidth 2 linecolor rgb colour(i) title label_of[i], \
 for [i = 1:curves] csv using (pick(i, 'median')):'search_ms':(mark(1)) \
     with labels offset char -0.8, 0.7 right font ',9' textcolor rgb colour(i) notitle"
