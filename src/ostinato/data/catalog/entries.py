"""The catalogue's entries: where each data set is from, on which terms, and how it is cited."""

from __future__ import annotations

from ostinato.data.catalog.convert import fight_clips
from ostinato.data.catalog.entry import DataSet
from ostinato.data.catalog.unpack import unpack_imdb, unpack_nothing

CATALOG: dict[str, DataSet] = {
    entry.name: entry
    for entry in (
        DataSet(
            name="imdb",
            title="Large Movie Review Dataset v1.0",
            description="25,000 + 25,000 reviews labelled 1 (positive) or 0, and 50,000 unlabelled ones",
            licence="none stated; the authors ask to be cited; texts are IMDb users'",
            citation="Maas, Daly, Pham, Huang, Ng, Potts: Learning Word Vectors for Sentiment Analysis. ACL 2011.",
            splits={
                "train": ("imdb/train.jsonl", "imdb/train.jsonl.xz"),
                "test": ("imdb/test.jsonl", "imdb/test.jsonl.xz", "imdb/test-a.jsonl.xz"),
                "unsup": ("imdb/unsup.jsonl", "imdb/unsup.jsonl.xz"),
            },
            url="https://ai.stanford.edu/~amaas/data/sentiment/aclImdb_v1.tar.gz",
            checksum="md5:7c2ac02c03563afcf9b574c7e56c153a",
            unpack=unpack_imdb,
        ),
        DataSet(
            name="mysterious-island",
            title="Jules Verne: The Mysterious Island",
            description="1,112,262 characters of one novel, in English",
            licence="public domain (Project Gutenberg EBook 1268, its header and footer removed)",
            citation="Jules Verne: The Mysterious Island (1875), translated by W. H. G. Kingston.",
            splits={"train": ("mysterious-island.txt",)},
            url="https://www.gutenberg.org/ebooks/1268",
            checksum="sha256:dd58ca1db31abfa3acbc592d8feb70e082167ed0c406a030535ee8bbd464445e",
            packaged="mysterious-island.txt",
        ),
        DataSet(
            name="tiny-shakespeare",
            title="tiny-shakespeare",
            description="1,115,394 characters of Shakespeare's plays",
            licence="public domain text; the collection is MIT (karpathy/char-rnn)",
            citation="Karpathy: The Unreasonable Effectiveness of Recurrent Neural Networks (2015).",
            splits={"train": ("tiny_shakespeare/input.txt",)},
            url="https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",
            checksum="sha256:86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
            unpack=unpack_nothing,
        ),
        DataSet(
            name="sentence-polarity",
            title="Sentence polarity 1.0",
            description="5,331 + 5,331 sentences of film reviews, positive and negative",
            licence="CC BY 4.0",
            citation="Pang, Lee: Seeing stars. ACL 2005.",
            splits={
                "positive": ("text_small/sentence_polarity.zip#sentence_polarity/rt-polarity.pos",),
                "negative": ("text_small/sentence_polarity.zip#sentence_polarity/rt-polarity.neg",),
            },
            url="https://www.cs.cornell.edu/people/pabo/movie-review-data/",
        ),
        DataSet(
            name="ewt",
            title="Universal Dependencies English Web Treebank",
            description="12,544 + 2,001 sentences with parts of speech, lemmas and trees",
            licence="CC BY-SA 4.0",
            citation="Silveira et al.: A Gold Standard Dependency Corpus for English. LREC 2014.",
            splits={
                "train": ("ud_english_ewt/en_ewt-ud-train.conllu.xz", "ud_english_ewt/en_ewt-ud-train.conllu"),
                "dev": ("ud_english_ewt/en_ewt-ud-dev.conllu.xz", "ud_english_ewt/en_ewt-ud-dev.conllu"),
                "test": ("ud_english_ewt/en_ewt-ud-test.conllu.xz", "ud_english_ewt/en_ewt-ud-test.conllu"),
            },
            url="https://github.com/UniversalDependencies/UD_English-EWT",
        ),
        DataSet(
            name="conll2000",
            title="CoNLL-2000 chunking",
            description="8,936 + 2,012 sentences of the Wall Street Journal: word, part of speech, chunk",
            licence="none stated; distributed by the shared task",
            citation="Tjong Kim Sang, Buchholz: Introduction to the CoNLL-2000 Shared Task. 2000.",
            splits={
                "train": ("conll2000/conll2000.zip#conll2000/train.txt",),
                "test": ("conll2000/conll2000.zip#conll2000/test.txt",),
            },
            url="https://www.clips.uantwerpen.be/conll2000/chunking/",
        ),
        DataSet(
            name="cmudict",
            title="CMU Pronouncing Dictionary 0.7b",
            description="spelling and phonemes (39, without stress) of 106,794 words",
            licence="BSD",
            citation="Carnegie Mellon University: The CMU Pronouncing Dictionary.",
            splits={"train": ("cmudict_g2p/train.txt",), "test": ("cmudict_g2p/test.txt", "cmudict_g2p/test-a.txt")},
            url="http://www.speech.cs.cmu.edu/cgi-bin/cmudict",
        ),
        DataSet(
            name="multi30k",
            title="Multi30k, task 1",
            description="29,000 + 1,014 + 1,000 captions in English, German, French, Czech",
            licence="research and education, non-commercial (derived from Flickr30k)",
            citation="Elliott, Frank, Sima'an, Specia: Multi30K. VL 2016.",
            splits={
                "train": ("multi30k/train.en.gz",),
                "validation": ("multi30k/val.en.gz",),
                "test": ("multi30k/test_2016_flickr.en.gz",),
            },
            url="https://github.com/multi30k/dataset",
        ),
        DataSet(
            name="names",
            title="Surnames of 18 languages",
            description="20,050 surnames, a file a language, many of them twice",
            licence="MIT (spro/practical-pytorch)",
            citation="Robertson: Classifying Names with a Character-Level RNN (PyTorch tutorial, 2017).",
            splits={"train": ("names_18_languages/names",)},
            url="https://github.com/spro/practical-pytorch",
        ),
        DataSet(
            name="mnist",
            title="MNIST handwritten digits",
            description="60,000 + 10,000 images of 28 × 28 pixels",
            licence="CC BY-SA 3.0, as usually stated",
            citation="LeCun, Bottou, Bengio, Haffner: Gradient-Based Learning Applied to Document Recognition. 1998.",
            splits={
                "train": ("mnist/train-images-idx3-ubyte.gz", "mnist/train-images-idx3-ubyte"),
                "test": ("mnist/t10k-images-idx3-ubyte.gz", "mnist/t10k-images-idx3-ubyte"),
            },
            url="http://yann.lecun.com/exdb/mnist/",
        ),
        *(
            DataSet(
                name=name,
                title=f"{title} piano rolls",
                description=f"{description}, frames of 88 keys",
                licence="free for research; none stated",
                citation="Boulanger-Lewandowski, Bengio, Vincent: Modeling Temporal Dependencies. ICML 2012.",
                splits={
                    "train": (f"poly_music/{file}.npz#train",),
                    "validation": (f"poly_music/{file}.npz#valid",),
                    "test": (f"poly_music/{file}.npz#test",),
                },
                url="http://www-etud.iro.umontreal.ca/~boulanni/icml2012",
            )
            for name, title, file, description in (
                ("jsb", "JSB Chorales", "JSB_Chorales", "229 + 76 chorales of Bach"),
                ("nottingham", "Nottingham", "Nottingham", "694 + 173 folk tunes"),
                ("musedata", "MuseData", "MuseData", "524 + 135 orchestral and piano pieces"),
                ("pianomidi", "Piano-midi.de", "Piano_midi", "87 + 12 piano pieces"),
            )
        ),
        *(
            DataSet(
                name=name,
                title=f"Electricity Transformer Temperature, {file}",
                description=description,
                licence="CC BY-ND 4.0",
                citation="Zhou et al.: Informer. AAAI 2021.",
                splits={"train": (f"ett/{file}.csv.xz", f"ett/{file}.csv")},
                url="https://github.com/zhouhaoyi/ETDataset",
            )
            for name, file, description in (
                ("etth1", "ETTh1", "17,420 hours of 7 channels"),
                ("etth2", "ETTh2", "17,420 hours of 7 channels"),
                ("ettm1", "ETTm1", "69,680 quarter-hours of 7 channels"),
            )
        ),
        DataSet(
            name="exchange-rate",
            title="Exchange rates of eight countries",
            description="7,588 days, no header",
            licence="none stated",
            citation="Lai, Chang, Yang, Liu: Modeling Long- and Short-Term Temporal Patterns. SIGIR 2018.",
            splits={"train": ("exchange_rate/exchange_rate.txt.gz",)},
            url="https://github.com/laiguokun/multivariate-time-series-data",
        ),
        DataSet(
            name="m4-hourly",
            title="M4 competition, hourly series",
            description="414 series, horizon 48",
            licence="none stated",
            citation="Makridakis, Spiliotis, Assimakopoulos: The M4 Competition. IJF 2020.",
            splits={
                "train": ("m4/Hourly-train.csv.xz", "m4/Hourly-train.csv"),
                "test": ("m4/Hourly-test.csv.xz", "m4/Hourly-test.csv"),
            },
            url="https://github.com/Mcompetitions/M4-methods",
        ),
        *(
            DataSet(
                name=name,
                title=f"UCR archive 2018: {file}",
                description=description,
                licence="free for research",
                citation="Dau et al.: The UCR time series archive. IEEE/CAA JAS 2019.",
                splits={
                    "train": (f"ucr/{file}_TRAIN.tsv.xz", f"ucr/{file}_TRAIN.tsv"),
                    "test": (f"ucr/{file}_TEST.tsv.xz", f"ucr/{file}_TEST.tsv"),
                },
                url="https://www.cs.ucr.edu/~eamonn/time_series_data_2018/",
            )
            for name, file, description in (
                ("synthetic-control", "SyntheticControl", "300 + 300 control charts of six kinds, 60 steps"),
                ("italy-power", "ItalyPowerDemand", "67 + 1,029 days of power demand, summer or winter, 24 steps"),
                ("ecg200", "ECG200", "100 + 100 heartbeats, normal or ischaemic, 96 steps"),
                ("power-cons", "PowerCons", "180 + 180 days of a household's power, warm or cold season, 144 steps"),
                ("cricket-x", "CricketX", "390 + 390 gestures of an umpire, 12 kinds, 300 steps"),
            )
        ),
        DataSet(
            name="japanese-vowels",
            title="Japanese Vowels",
            description="270 + 370 utterances of nine speakers, 12 cepstra, 7 to 29 steps",
            licence="UCI; packaged by aeon (BSD-3)",
            citation="Kudo, Toyama, Shimbo: Multidimensional curve classification. Pattern Recognition Letters 1999.",
            splits={
                "train": ("uea_aeon/JapaneseVowels_TRAIN.ts.xz", "uea_aeon/JapaneseVowels_TRAIN.ts"),
                "test": ("uea_aeon/JapaneseVowels_TEST.ts.xz", "uea_aeon/JapaneseVowels_TEST.ts"),
            },
            url="https://www.timeseriesclassification.com/description.php?Dataset=JapaneseVowels",
        ),
        DataSet(
            name="fsdd",
            title="Free Spoken Digit Dataset",
            description="3,000 spoken digits of six speakers, 8 kHz; names are digit_speaker_index.wav",
            licence="CC BY-SA 4.0",
            citation="Jackson: Free Spoken Digit Dataset, doi:10.5281/zenodo.1342401.",
            splits={"train": ("fsdd/recordings", "fsdd/recordings.tar.xz")},
            url="https://github.com/Jakobovski/free-spoken-digit-dataset",
        ),
        DataSet(
            name="fights",
            title="Surveillance Camera Fight Dataset, small",
            description="300 clips of two seconds, 20 grey frames of 64 × 64, fight or not",
            licence="MIT; the clips are from YouTube",
            citation="Akti, Tataroglu, Ekenel: Vision-based Fight Detection from Surveillance Cameras. IPTA 2019.",
            splits={"train": ("surv_fight_video/frames_20x64x64_gray.npz",)},
            convert=fight_clips,
            converted="clips.csv",
            url="https://github.com/seymanurakti/fight-detection-surv-dataset",
        ),
        DataSet(
            name="splice",
            title="Splice-junction gene sequences",
            description="3,190 primate DNA windows of 60 nucleotides: exon-intron, intron-exon, neither",
            licence="CC BY 4.0 (UCI)",
            citation="Towell, Noordewier, Shavlik: Molecular Biology (Splice-junction Gene Sequences). UCI 1991.",
            splits={"train": ("dna_splice/splice.csv",)},
            url="https://archive.ics.uci.edu/dataset/69",
        ),
        DataSet(
            name="promoters",
            title="Promoter gene sequences of E. coli",
            description="106 sequences of 57 nucleotides, half of them promoters",
            licence="CC BY 4.0 (UCI)",
            citation="Harley, Reynolds, Noordewier: Molecular Biology (Promoter Gene Sequences). UCI 1990.",
            splits={"train": ("dna_promoters/ecoli_promoters_106.data",)},
            url="https://archive.ics.uci.edu/dataset/67",
        ),
        DataSet(
            name="promoters-ecoli",
            title="E. coli sigma70 promoters",
            description="839 promoters and 3,000 other sequences of 81 nucleotides",
            licence="none stated",
            citation="Umarov, Solovyev: Recognition of prokaryotic and eukaryotic promoters. PLoS ONE 2017.",
            splits={"train": ("dna_promoters/umarov_solovyev",)},
            url="https://github.com/solovictor/CNNPromoterData",
        ),
        DataSet(
            name="protein-ss",
            title="Secondary structure of proteins (NetSurfP-2.0, FLIP)",
            description="9,712 + 1,080 + 364 proteins, H, E or C for each residue",
            licence="AFL-3.0",
            citation="Klausen et al.: NetSurfP-2.0. Proteins 2019; Dallago et al.: FLIP. NeurIPS 2021.",
            splits={
                "train": (
                    "protein_ss/flip_secondary_structure_splits.zip"
                    "#splits/sequences.fasta+splits/sampled.fasta+splits/mask.fasta",
                )
            },
            url="https://github.com/J-SNACKKB/FLIP",
        ),
    )
}
