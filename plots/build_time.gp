
# labels of curves take room at the left: the title begins above them
set label 1 at screen 0.03, graph 1 offset 0, char 2.5
set label 2 at screen 0.03, graph 1 offset 0, char 1.1
set bmargin 5.4
set xlabel 'seconds'
set xrange [0:*]
set yrange [curves + 0.6 : 0.4]
set ytics () noenhanced
do for [i = 1:curves] { set ytics add (label_of[i] i) }
set grid noytics
set style fill solid 0.9 noborder
at(kind) = stringcolumn('kind') eq kind ? column('curve') : NaN
# bars of one curve's points lie on each other: the index is built once for all its nprobe
draw = "plot \
 csv using (0):(at('median')):(0):'train_s':(at('median') - 0.3):(at('median') + 0.3) \
     with boxxyerror linecolor rgb colour(1) title 'train', \
 csv using (0):(at('median')):'train_s':(column('train_s') + column('add_s')) \
     :(at('median') - 0.3):(at('median') + 0.3) with boxxyerror linecolor rgb colour(5) title 'add'"
