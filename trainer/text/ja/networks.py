"""LoRAファイル、学習対象、オプティマイザ、スケジュールの文言。"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

TEXTS: Mapping[str, str] = MappingProxyType(
    {
        # ---- LoRA files
        "networks.no_file": "そのようなファイルはありません。",
        "networks.no_such_lora": ("そのようなLoRAファイルはありません。フルパスを書くか、{folder} に置いてください。"),
        "networks.unreadable": "読み込めません ({reason})。別のコピーを選んでください。",
        "networks.unused": "{file} のうち、使わないもの: {parts}",
        "networks.carried": "{file} から新しいファイルにそのまま残すもの: {parts}",
        "networks.dropped": "{file} のうち、使わず、新しいファイルにも残さないもの: {parts}",
        "networks.part_embedding": "同梱の埋め込み {count} 個",
        "networks.part_norm": "正規化層 {count} 個の差分 (LyCORIS)",
        "networks.part_bias": "{count} モジュールのバイアス",
        "networks.part_dora": "{count} モジュールのDoRAスケール",
        "networks.part_lora": "一部が欠けている {count} モジュール ({example} など)",
        "networks.part_loha": "一部が欠けている {count} モジュール ({example} など)",
        "networks.part_lokr": "{count} モジュールのLoKr",
        "networks.part_oft": "{count} モジュールのOFT",
        "networks.part_ia3": "{count} モジュールのIA³",
        "networks.part_glora": "{count} モジュールのGLoRA",
        "networks.part_full": "{count} モジュールの全差分",
        "networks.part_unknown": "種類の分からないテンソル {count} 個 ({example} など)",
        "networks.part_placeless": "このモデルにない {count} モジュール ({example} など)",
        "networks.nan": (
            "{tensor} にNaNまたは無限大の値があります。学習が破綻したか、ファイルが壊れています。"
            "ほかのLoRAを選んでください。"
        ),
        "networks.misshapen": (
            "{module} のテンソルの形が合いません。ほかのLoRAを選ぶか、ファイルを取得し直してください。"
        ),
        "networks.broken_alpha": "アルファの情報を読めません ({reason})。ファイルを入手し直してください。",
        "networks.no_lora": "Trainyardで扱える種類のLoRAではありません。次の種類のファイルを選んでください: {kinds}",
        "networks.other_kind": (
            "Trainyardで扱える種類のLoRAではありません ({example} など)。次の種類のファイルを選んでください: {kinds}"
        ),
        "networks.other_type": (
            "この種類 ({kind}) はTrainyardでは使えません。次の種類のファイルを選んでください: {kinds}"
        ),
        "networks.other_family": (
            "{trained_for} 用に学習したものですが、モデルは {family} です。"
            "{family} 用のLoRAか、別のモデルを選んでください。"
        ),
        "networks.other_model": (
            "{total} 個のモジュールのうち {count} 個は、このモデルに当てはまりません ({example} など)。"
            "{family} 用のLoRAを選んでください。"
        ),
        "networks.other_shapes": (
            "{module} の形が {shapes} で、モデルの {wanted} と合いません。別の種類のモデルで学習したLoRAです。"
        ),
        "networks.no_settings": (
            "設定が入っていません(Trainyardで学習したLoRAではありません)。プリセットか .json ファイルを選んでください。"
        ),
        # ---- changing what one says of itself
        "networks.text_too_long": "{count}文字は長すぎます。{most}文字までにしてください。",
        "networks.only_safetensors": "書かれている内容を変更できるのは .safetensors ファイルだけです。",
        "networks.being_written": "いま書き込み中です。少し待ってから、もう一度試してください。",
        "networks.nothing_to_undo": "ここで変更されたことがないため、取り消すものはありません。",
        "networks.other_tensors_now": "直前の変更の後にテンソルが変わっているため、取り消しません。",
        # ---- training
        "networks.nothing_to_train": (
            "学習するものがありません。選んだネットワークの種類と層のモジュールがあるブロックを、"
            "1つ以上選んでください。"
        ),
        "networks.none_reads_prompts": (
            "選んだブロックにはプロンプトを読む層がないため、計算で求めた変化から始められません。ブロックを増やすか、"
            "「{setting}」をオフにしてください。"
        ),
        # ---- continuing from a LoRA
        "networks.resume_no_lora": ("{file} はLoRAではありません ({kind})。LoRAファイルを選ぶか、空欄にしてください。"),
        "networks.resume_alpha_zero": (
            "{file} はすべてのモジュールのアルファが0で、何も変えず、何も学習できません。"
            "ほかのLoRAを選ぶか、空欄にしてください。"
        ),
        "networks.resume_other_type": (
            "{file} は {kinds} ですが、ネットワークの種類は {type} です。次の種類を選んでください: {fitting}"
        ),
        "networks.resume_mixed_types": (
            "{file} には複数の種類のネットワーク ({kinds}) が入っていますが、ネットワークの種類は {type} です。"
            "別のファイルを選んでください。"
        ),
        "networks.resume_other_family": (
            "{file} は {trained_for} 用に学習したLoRAですが、モデルは {family} です。"
            "{family} 用のLoRAか、別のモデルを選んでください。"
        ),
        "networks.continues": "{file} の続きから学習します: {count} モジュール、ランク {rank}、アルファ {alpha}。",
        "networks.continues_new": (
            "{file} の続きから学習します: {count} モジュール、ランク {rank}、アルファ {alpha}。"
            "ファイルにない {new} モジュールは新しく学習します。"
        ),
        "networks.continues_frozen": (
            "{file} の続きから学習します: {count} モジュール、ランク {rank}、アルファ {alpha}。"
            "学習しない {frozen} モジュールはそのまま残します。"
        ),
        "networks.continues_new_frozen": (
            "{file} の続きから学習します: {count} モジュール、ランク {rank}、アルファ {alpha}。"
            "ファイルにない {new} モジュールは新しく学習し、学習しない {frozen} モジュールはそのまま残します。"
        ),
        # ---- optimizers and schedules
        "optim.no_package": (
            "{optimizer} に必要なパッケージ {package} が、ここでは使えません ({reason})。"
            "次のコマンドでインストールしてください: pip install {package}"
        ),
        "optim.cannot_step": (
            "インストールされている {package} では、{optimizer} を {device} で使えません ({reason})。"
            "AdamWを選ぶか、{device} に対応した {package} をインストールしてください。"
        ),
        "optim.unknown_settings": "{name} では {unknown} を設定できません。設定できるもの: {known}",
        "optim.takes_no_settings": "{name} に追加設定はありません。空欄にしてください。",
        "optim.rate_has_a_field": "{name} では lr を設定できません。学習率には専用の欄があります。",
        "optim.refused": "{name} ではこの値を使えません ({reason})。",
        "optim.fails_at_step": (
            "{name} はステップ {step} / {steps} で失敗します ({reason})。設定を変えるか、空欄にしてください。"
        ),
        "optim.rate_negative": (
            "{name} ではステップ {step} / {steps} で学習率が負 ({rate}) になります。"
            "設定を変えるか、空欄にしてください。"
        ),
        "optim.rate_too_high": (
            "{name} ではステップ {step} / {steps} で学習率が {rate} まで上がり、何も学習できません。"
            "設定を変えるか、空欄にしてください。"
        ),
        "optim.overflows": (
            "{name} ではステップ {step} / {steps} で学習中の値が無限大かNaNになります。"
            "学習率を下げるか、設定を変えるか、空欄にしてください。"
        ),
        "optim.moves_late": (
            "{optimizer} は最初の {steps} ステップでは何も変えず、必要な情報だけを集めます。"
            "その間、損失は下がりません。"
        ),
        "optim.never_moves": (
            "{optimizer} は {steps} ステップでは何も変えません。これが全ステップです。"
            "学習ステップ数を増やすか、別のオプティマイザを選んでください。"
        ),
        "optim.rate_is_low": (
            "{setting} が {rate} で、{optimizer} で普通に使う値({least} 以上)よりずっと小さいため、"
            "ほとんど学習されません。大きくしてください。"
        ),
        "optim.rate_is_high": (
            "{setting} が {rate} で、{optimizer} で普通に使う値({least}~{most})よりずっと大きいため、"
            "モデルを壊すおそれがあります。小さくしてください。"
        ),
        "optim.rate_is_a_factor": (
            "{optimizer} は歩幅を自動で決め、それに学習率を掛けます。学習率が {rate} では学習がとても遅くなります。"
            "学習率を1くらいにしてください。"
        ),
    }
)
