
set xlabel recall_words noenhanced
set ylabel 'queries per second (log scale)'
set logscale y
set label 3 'numbers at points: nprobe' at graph 0.985, graph 0.96 right font ',11' textcolor '#777777'
pick(i, kind) = is(i, kind) ? column(recall) : NaN
draw = "plot \
 for [i = 1:(many_seeds ? curves : 0)] csv using (pick(i, 'seed')):'qps' \
     with points pointtype point(i) pointsize 0.6 linecolor rgb faint(i) notitle, \
 for [i = 1:curves] csv using (pick(i, 'median')):'qps':'qps_q1':'qps_q3' \
     with yerrorbars pointsize 0 linewidth 1.2 linecolor rgb colour(i) notitle, \
 for [i = 1:curves] csv using (pick(i, 'median')):'qps' \
     with linespoints pointtype point(i) linewidth 2 linecolor rgb colour(i) title label_of[i], \
 for [i = 1:curves] csv using (pick(i, 'median')):'qps':(mark(1)) \
     with labels offset char 0.8, 0.7 left font ',9' textcolor rgb colour(i) notitle"
