"""学習の実行、その段階、結果の報告の文。"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

TEXTS: Mapping[str, str] = MappingProxyType(
    {
        # ---- 段階
        "phase.of_pass": "{pass_name}: {phase}",
        "phase.of_job": "{job}: {phase}",
        "phase.first_pass": "1回目の学習",
        "phase.second_pass": "2回目の学習",
        "phase.waiting_for_webui": "WebUIの空きを待っています",
        "phase.looking_at_images": "画像を調べています",
        "phase.loading_model": "モデルを読み込んでいます",
        "phase.loading_lora": "LoRAを読み込んでいます",
        "phase.encoding_images": "画像をエンコードしています",
        "phase.encoding_captions": "キャプションをエンコードしています",
        "phase.listing_captions": "全ステップのキャプションを調べています",
        "phase.encoding_prompts": "プロンプトをエンコードしています",
        "phase.encoding_keep_prompts": "維持するプロンプトをエンコードしています",
        "phase.making_images_to_hold": "ほかの言葉の画像を作っています(変えずに保つため)",
        "phase.computing_change": "プロンプトの変化を計算しています",
        "phase.training": "学習しています",
        "phase.saving": "保存しています",
        "phase.measuring_effect": "効果を測っています",
        # ---- 場所
        "engine.step": "ステップ {step}",
        "engine.step_of": "ステップ {step} / {steps}",
        # ---- 残してあるデータ
        "engine.cache_detail": (
            "画像から作ったデータのうち、以前の学習のものを{hits}件使い、{misses}件を新しく作りました。"
            "ディスクには{count}件、{size} GBあります。"
        ),
        "engine.cache_unusable": ("{path} に残してある画像のデータを使えません({reason})。使わずに学習を続けます。"),
        "engine.cache_told": (
            "同じ画像での次の学習がすぐに始まるように、画像から作ったデータを {folder} に残しています。今は{size} GB、"
            "最大で{most} GBです。上限は「{setting}」で変えられ、0にすると何も残しません。"
        ),
        # ---- 最初のステップの前
        "engine.not_erased": (
            "目標のプロンプトが書かれているため、「{original}」は消えず、「{target}」に変わります。消すには"
            "{target_setting}を空欄にしてください。変えるだけなら{scale_setting}を1にしてください。今のままでは目標を"
            "通り越します。"
        ),
        "engine.erased": (
            "目標のプロンプトがないため、「{original}」は消えるように学習します。別のものに変えるには{target_setting}を、"
            "スライダーにするには{positive}と{negative}を書いてください。"
        ),
        "engine.prompts_differ": (
            "2枚の画像のプロンプトが違います。プロンプトに書いた違いはモデルがすでに知っているため、その分は学習"
            "されにくくなります。変わる部分を書かずに、両方に同じ文を書いてください。"
        ),
        # ---- エラー
        "engine.name_taken": "{name} はすでにあります。別の名前にするか、「{setting}」をオンにしてください。",
        "engine.folder_not_writable": "書き込めません。LoRAの保存先に別のフォルダを選んでください。",
        "engine.no_room": (
            "空き容量は {free} MBで、LoRAには {size} MB必要です。空きを増やすか、別のフォルダを選んでください。"
        ),
        "engine.little_room": (
            "{folder}: この学習は最大 {size} MBを書き込みますが、空き容量は {free} MBです。空きを増やすか、"
            "途中の保存を減らすか、rankを下げてください。"
        ),
        "engine.not_enough_memory": (
            "メモリが足りません。勾配チェックポイントをオンにするか、バッチサイズ、画像サイズ、ランクのどれかを"
            "下げてください。"
        ),
        "engine.memory_needed": "この設定の学習は、プログラム自体のほかに約 {needed} のメモリを使います。",
        "engine.memory_too_much": (
            "この設定の学習には約 {needed} のメモリが必要ですが、使えるのは {room} です。"
            "次のようにすると約 {less} で足ります: {changes}。"
        ),
        "engine.memory_never_enough": (
            "この設定の学習には約 {needed} のメモリが必要ですが、使えるのは {room} で、"
            "どの設定でもこのモデルには足りません。"
            "ほかのプログラムを閉じるか、小さいモデルを選んでください。"
        ),
        "engine.memory_unknown": "必要なメモリはここでは見積もれません ({reason})。",
        "engine.memory_turn_on": "{setting}をオンにする",
        "engine.memory_set": "{setting}を {value} にする",
        "engine.memory_turn_off": "{setting}をオフにする",
        "engine.card": "{size} GB の GPU",
        "engine.this_card": "この GPU (空き {room})",
        "engine.card_none": ("学習は {device} で行われ、設定を合わせる GPU がありません。設定は変えていません。"),
        "engine.card_fits": "この学習はこのままで {card} に収まります (約 {needed})。設定は変えていません。",
        "engine.card_changed": (
            "{card} に収まるように変えました: {changes}。学習に使うメモリは約 {needed} になります。"
        ),
        "engine.card_never": (
            "どの設定でも、この学習は {card} に収まりません。設定は変えていません。"
            "小さいモデルか別の GPU を選んでください。"
        ),
        "engine.card_on": "{setting}: オン",
        "engine.card_off": "{setting}: オフ",
        "engine.card_value": "{setting}: {value}",
        "engine.unexpected": "予期しないエラーで学習が終了しました({kind}: {reason})。",
        "engine.loss_diverged": (
            "{count} 件中 {sample} 件目のサンプルの、タイムステップ {timestep} での損失がNaNか無限大になりました。"
            "学習率を下げるか、モデルの精度をbf16かfp32にしてください。壊れたLoRAは保存していません。"
        ),
        "engine.named_loss_diverged": (
            "{count} 件中 {sample} 件目のサンプル({name})の、タイムステップ {timestep} での損失がNaNか無限大に"
            "なりました。学習率を下げるか、モデルの精度をbf16かfp32にしてください。壊れたLoRAは保存していません。"
        ),
        "engine.broken_tensors": (
            "学習した {count} 個のテンソルのうち {broken} 個に、保存時の精度でNaNか無限大の値があります。学習率を"
            "下げるか、fp32で保存してください。壊れたLoRAは保存していません。"
        ),
        # ---- 警告
        "engine.film_thinned": "学習中の画像は、学習時間の{percent}%以内に収めるため、予定より少なくなります。",
        "engine.film_not_kept": "途中のステップのLoRAを画像の横に残せなくなりました({reason})。学習は続きます。",
        "engine.no_preview": "ステップ {step} のプレビューを作れませんでした: {reason}",
        "engine.log_ends": "{path}: 書き込めなくなったため、ログはここで終わります({reason})。",
        "engine.stopped_in_pass": "{pass_name}で止めたため、保存したのはその学習のネットワークだけです。",
        "engine.pause_keeps_memory": "一時停止してもメモリは空きません: {reason}",
        "engine.not_back_after_pause": "一時停止のあと、モデルを {device} に戻せませんでした: {reason}",
        "engine.still_paused": "{device} のメモリが足りないため、一時停止のままです。空けてから再開してください。",
        "engine.no_card": "LoRAの横に、WebUI用の説明ファイルを書けませんでした。{error}",
        "engine.no_picture": "LoRAの横に、WebUI用のプレビュー画像を書けませんでした。{error}",
        "engine.rescued": "{error} LoRAは失われていません。次の場所にあります: {path}",
        # ---- 途中経過
        "engine.no_state": "再開できる途中経過がありません。{path} が存在しません。最初から学習してください。",
        "engine.state_refused": "学習を再開できません。{reason}。最初から学習してください。",
        "engine.state_broken": "{path} は壊れているか、最後まで書き込まれていません",
        "engine.state_foreign": "{path} は学習の途中経過のファイルではありません",
        "engine.state_of_other_version": "{path} は別のバージョンのTrainyardで書き込まれています",
        "engine.state_of_other_job": "途中経過は別のジョブ ({name}) のものです",
        "engine.state_of_other_settings": "次の設定が変更されています: {settings}",
        "engine.state_other_file": "{file} が変更されています",
        "engine.state_file_gone": "前に使った {file} がなくなっています",
        "engine.state_file_new": "{file} は前には使われていません",
        "engine.state_other_caption": "{file} のキャプションが変更されています",
        "engine.state_other_subsets": "フォルダごとの設定が前と異なります",
        "engine.state_other_layout": "画像の切り抜き方か順序が前と異なります",
        "engine.state_made_elsewhere": (
            "学習は {others} で始められました。このまま続けますが、中断しなかった場合とわずかに異なることがあります。"
        ),
        "engine.state_not_exact": (
            "オプティマイザの一部を保存できませんでした: {parts}。"
            "このまま続けますが、中断しなかった場合とは異なる結果になります。"
        ),
        "engine.state_files_gone": "この学習が書き込んだファイルがなくなっています。作り直しはしません: {files}",
        "engine.state_not_written": "途中経過を書き込めなかったため、再開できなくなるおそれがあります: {reason}",
        "engine.state_not_removed": "{path}: 不要になった途中経過を削除できません ({reason})。",
        "engine.not_discarded": "{path} は未完了の学習で保存されたものですが、削除できません ({reason})。",
        "engine.model_changed": (
            "学習に使っている {file} が途中で変更されました。LoRAがこのファイルに合わなくなるおそれがあります。"
            "使いたいファイルで学習し直してください。"
        ),
        "engine.saved_after_error": "エラーが起きましたが、ステップ {step} / {steps} までの学習結果は保存しました。",
        "engine.nothing_kept": "エラーの後、それまでの学習結果を保存できませんでした: {reason}。",
        # ---- LoRAの効果
        "engine.effect_unknown": "LoRAが変える量を測れませんでした: {reason}",
        "engine.no_strip": "LoRAの効果を示す画像を作れませんでした: {reason}",
        "engine.effect_nan": ("LoRAかモデルにNaNか無限大の値があります。このLoRAは使わず、学習率を下げてください。"),
        "engine.effect_zero": (
            "更新量がゼロなので、このLoRAは何も変えません。学習率を上げるか、ステップ数を増やしてください。"
        ),
        "engine.effect_tiny": (
            "このLoRAの変化は重みの {share} とごくわずかで、半精度では丸められて消えます。学習率を上げるか、"
            "ステップ数を増やしてください。"
        ),
        "engine.effect_huge": (
            "LoRAの変化が元の重みの {percent} %に達しているため、画像が崩れます。"
            "学習率を下げるか、学習を短くしてください。"
        ),
        "engine.effect_black": (
            "LoRAの有無にかかわらず画像が真っ黒です({strip} 参照)。別のVAEを選ぶか、VAEの精度をfp32にしてください。"
        ),
        "engine.effect_black_at": (
            "LoRAの強さ {strengths} の画像が真っ黒です ({strip})。モデルが壊れるほど強く学習した可能性があります。"
            "学習率かステップ数を下げてください。"
        ),
        "engine.black_preview": "ステップ {step} の画像は真っ黒です。",
        "engine.loss_grew": (
            "損失が {first} から {last} に増えました。学習するほど悪くなっています。学習率を下げてください。"
        ),
        "engine.no_velocity_to_scale": (
            "{setting}がオンですが、{file} はvを予測するモデルではないため、何も変わりません。"
        ),
        "engine.off_for_flow": ("{file} はRectified Flowとして学習するので、次の設定は働きません: {settings}。"),
        "engine.stopped_early_at_best": (
            "検証の損失の最小値が {patience} ステップのあいだ更新されなかったため、ステップ {step} で終了しました。"
            "検証の損失が最も小さかった({loss})ステップ {best_step} のLoRAを保存します。"
        ),
        "engine.stopped_early": (
            "損失の最小値が {patience} ステップのあいだ更新されなかったため、ステップ {step} で終了しました。最小値"
            "はステップ {best_step} の {loss} です。現在のLoRAを保存します。"
        ),
        "engine.tracker_missing": (
            "パッケージ {package} が、ここでは使えません ({reason})。次のコマンドでインストールするか、この設定をオ"
            "フにしてください: pip install {package}"
        ),
        "engine.tracker_ends": ("{tracker} でエラーが起きたため、以後は記録されません ({reason})。"),
        "engine.rank_above_layers": (
            "ネットワークのランク {rank} は、{total} 層のうち {count} 層では大きすぎます(最小の層は {least})。"
            "ランクを下げても学習できる量は同じです。"
        ),
        "engine.captions_cut": (
            "{most} トークンより長いキャプションが {count} 個あります。そこで切って使います({setting})。"
        ),
        "engine.effect_unseen": (
            "「{prompt}」の画像は、LoRAがあってもなくても同じです。{strip} を見て、使う前にほかのプロンプトでも"
            "試してください。"
        ),
        "engine.effect_little": (
            "強さ +1 での「{prompt}」の画像の違いは、平均で255のうち {difference} です。足りなければ、学習ステップ数か"
            "学習率を上げてください。"
        ),
        "engine.effect_little_in_pairs": (
            "強さ +1 での「{prompt}」の画像の違いは、平均で255のうち {difference} です。足りなければ、学習ステップ数、"
            "学習率、保存時の強さのどれかを上げてください。"
        ),
        "engine.asked_failed": "学習の狙いどおりに変わるかどうかを測れませんでした: {reason}",
        "engine.asked_turned": "このLoRAは、{images} 枚中 {changed} 枚で「{original}」を「{target}」に変えます。",
        "engine.asked_erased": "このLoRAは、{images} 枚中 {changed} 枚から「{original}」を消します。",
        "engine.asked_several": "このLoRAは、{images} 枚中 {changed} 枚を学習の狙いどおりに変えます。",
        "engine.asked_unknown_turned": (
            "このLoRAが「{original}」を「{target}」に変えるかどうかは、画像から判定できません。比較画像を見てください。"
        ),
        "engine.asked_unknown_erased": (
            "このLoRAが「{original}」を消すかどうかは、画像から判定できません。比較画像を見てください。"
        ),
        "engine.asked_unknown_several": (
            "このLoRAが狙いどおりに変えるかどうかは、画像から判定できません。比較画像を見てください。"
        ),
        "engine.asked_shown": "その下は、LoRAなし(off)とあり(+1)の画像です: {prompts}。",
        "engine.asked_not_shown": "判定に使った画像を比較画像に加えられませんでした: {reason}",
        "engine.asked_alike_turned": (
            "LoRAなしでも、{images} 枚中 {alike} 枚で「{original}」と「{target}」の画像がほぼ同じです。"
            "モデルはこの二つを区別していないようです。別の言葉を選んでください。"
        ),
        "engine.asked_alike_erased": (
            "LoRAなしで「{original}」を省いても、{images} 枚中 {alike} 枚で画像がほぼ変わりません。モデルはこの言葉を"
            "知らないようです。別の言葉を選んでください。"
        ),
        "engine.asked_alike_several": (
            "LoRAなしでも、{images} 枚中 {alike} 枚で元のプロンプトと目標のプロンプトの画像がほぼ同じです。"
            "モデルは両者を区別していないようです。別の言葉を選んでください。"
        ),
        "engine.same_words": (
            "モデルにとって「{prompt}」は {words} とほぼ同じです。モデルがこの言葉を知らないのであれば、"
            "別の言葉を選んでください。"
        ),
        "engine.asked_kept": "ほかの言葉の画像は、{images} 枚中 {kept} 枚がほぼ元のままです。",
        "engine.asked_kept_lost": (
            "ほかの言葉の画像は、{images} 枚中 {kept} 枚がほぼ元のままで、{lost} 枚がはっきり変わります。"
        ),
        "engine.asked_keep": (
            "もっと保つには、残したいものを{prompts}に書くか、{weight}(現在 {keeps})を上げるか、{rate}(現在 {value})を"
            "下げてください。"
        ),
        "engine.asked_describe": "もっと保つには、{setting}を48にしてください(現在は0)。",
        "engine.asked_untold": "残りのうち {untold} 枚は判定できません。",
        "engine.asked_slider": (
            "このスライダーは、+1では {images} 枚中 {up} 枚で正の側へ、"
            "-1では {images} 枚中 {down} 枚で負の側へ近づけます。"
        ),
        "engine.asked_unknown_slider": (
            "このスライダーが両端へ近づけるかどうかは、画像から判定できません。比較画像を見てください。"
        ),
        "engine.asked_scale": "または、{scale}(現在 {by})を上げてください。",
        "engine.asked_shown_slider": "その下は、強さ -1、LoRAなし(off)、+1 の画像です: {prompts}。",
        "engine.asked_pair": (
            "このLoRAは、ノイズを変えた {images} 回中 {changed} 回で、元の画像を目標の画像のように変えます。"
        ),
        "engine.asked_pairs": (
            "このLoRAは、ノイズを変えた {images} 回中 {changed} 回で、元の画像をそれぞれの目標の画像のように変えます。"
        ),
        "engine.asked_leave_out": (
            "LoRAが変えるものはプロンプトに書かないでください。書くと、元のまま残ることがあります。"
        ),
        "engine.asked_partly": "ほかの {partly} 回は、途中までの変化です。",
        "engine.asked_unknown_pair": (
            "LoRAが元の画像を目標の画像のように変えるかどうかは判定できません。LoRAなしでは、"
            "{images} 回中 {untold} 回で元の画像に戻らないからです。比較画像を見てください。"
        ),
        "engine.asked_unknown_pairs": (
            "LoRAが元の画像をそれぞれの目標の画像のように変えるかどうかは判定できません。LoRAなしでは、"
            "{images} 回中 {untold} 回で元の画像に戻らないからです。比較画像を見てください。"
        ),
        "engine.asked_shown_pairs": (
            "その下は、元の画像にノイズを加えてモデルが描き直したもので、LoRAなし(off)とあり(+1)です。"
        ),
        "engine.asked_train_or_strength": (
            "{iterations}(現在 {steps})、{rate}(現在 {value})、{strength}(現在 {factor})のどれかを上げてください。"
        ),
        "engine.asked_trigger": (
            "プロンプトに「{trigger}」があると、このLoRAは {images} 枚中 {changed} 枚の画像をはっきり変えます。"
            "学習させたものが写っているかどうかは、画像を見て確かめてください。"
        ),
        "engine.asked_captions": "このLoRAは、キャプションの画像を {images} 枚中 {changed} 枚はっきり変えます。",
        "engine.asked_other_word": (
            "「{trigger}」を別の未知の言葉に替えても、{images} 枚中 {made} 枚でよく似た画像になります。"
        ),
        "engine.asked_other_word_unknown": (
            "「{trigger}」を別の未知の言葉に替えてもよく似た画像になるかどうかは、判定できません。"
        ),
        "engine.asked_hold_words": (
            "トリガーワードだけで働くようにするには、{weight}を1(現在 {now})に、{count}を32(現在 {images_now})に"
            "してください。"
        ),
        "engine.asked_hold_more_words": (
            "トリガーワードだけで働くようにするには、{weight}(現在 {now})か{count}(現在 {images_now})を上げるか、"
            "ほかの言葉と似ていないトリガーワードを選んでください。"
        ),
        "engine.asked_train_text": "テキストエンコーダーも学習してください({blocks}の {block})。",
        "engine.asked_train_more": "{iterations}(現在 {steps})か{rate}(現在 {value})を上げてください。",
        "engine.asked_train_longer": "{iterations}(現在 {steps})を上げてください。",
        "engine.asked_empty": (
            "空のプロンプトの画像も {images} 枚中 {moved} 枚が変わります。その分、ガイダンスで効果が打ち消されます。"
        ),
        "engine.asked_hold": "「{setting}」をyesにしてください(現在はno)。",
        # ---- 詳細
        "engine.model_detail": "{model}: {family}、{predicts}、{precision} で計算",
        "engine.network_detail": "モジュール {modules} 個、パラメータ {parameters} 個、{device}、シード {seed}",
        "engine.step_detail": "ステップ {step}: 損失 {loss}、学習率 {rates}",
        "engine.process_lost": (
            "この学習の別のプロセスが終了したため、プロセス {number} ({count} 個中) も終了します。"
            "状態が保存されていれば、すべてのプロセスを --resume で起動し直してください。"
        ),
        "engine.processes_not_joined": (
            "この学習の {count} 個のプロセスが接続できませんでした ({reason})。torchrun か accelerate launch で、"
            "どのマシンでも同じアドレスとポートを指定して起動してください。"
        ),
    }
)
